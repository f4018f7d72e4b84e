//! The commands for the store: `images`, `rmi`, `tag`, `prune`, `verify`.

use super::args::FormatArg;
use super::{ImagesArgs, PruneArgs, RmiArgs, TagArgs, VerifyArgs, reference};
use crate::messages::{print_error, print_notice, print_warning};
use crate::output::write_stdout;
use crate::table;
use anyhow::{Result, bail};
use serde_json::json;
use std::time::Duration;
use wasi_overlay_image::{
    Bytes, Choice, Entry, Error, Image, Problem, Prune, Purpose, Reference, Store,
};

/// Lists the images of the store.
pub(crate) fn images(args: &ImagesArgs) -> Result<()> {
    let store = Store::open()?;
    let choice = Choice {
        platform: None,
        purpose: Purpose::Present,
    };
    let entries: Vec<(Entry, Option<Image>)> = store
        .entries()?
        .into_iter()
        .map(|entry| {
            let image = match store.image_of(&entry, &choice) {
                Ok(image) => Some(image),
                // None of its manifests is for this host. It is listed all the same.
                Err(Error::Platform { .. }) => None,
                Err(error) => {
                    print_warning(error);
                    None
                }
            };
            (entry, image)
        })
        .collect();
    let platform = |image: &Image| image.platform().map(ToString::to_string);
    if args.format == FormatArg::Json {
        let all: Vec<_> = entries
            .iter()
            .map(|(entry, image)| {
                json!({
                    "name": entry.name,
                    "digest": entry.descriptor.digest().to_string(),
                    "platform": image.as_ref().and_then(platform),
                    "size": image.as_ref().map(Image::size),
                    "created": image.as_ref().and_then(|image| image.config().created.clone()),
                })
            })
            .collect();
        return write_stdout(&format!("{}\n", serde_json::to_string_pretty(&all)?));
    }
    let mut rows = vec![["NAME", "DIGEST", "PLATFORM", "SIZE"].map(str::to_owned)];
    for (entry, image) in &entries {
        let digest = entry.descriptor.digest().to_string();
        let digest = digest.strip_prefix("sha256:").unwrap_or(&digest);
        let name = entry.name.as_deref().unwrap_or("<none>");
        let name = name
            .parse()
            .map_or_else(|_| name.to_owned(), |name: Reference| name.short());
        rows.push([
            name,
            digest.chars().take(12).collect(),
            image
                .as_ref()
                .and_then(platform)
                .unwrap_or_else(|| "-".to_owned()),
            image
                .as_ref()
                .map_or_else(|| "-".to_owned(), |image| Bytes(image.size()).to_string()),
        ]);
    }
    write_stdout(&table::text(&rows))
}

/// Removes names of images.
pub(crate) fn rmi(args: &RmiArgs) -> Result<()> {
    let store = Store::open()?;
    let remove = |name: &String| -> Result<()> { Ok(store.remove_image(&stored(name)?)?) };
    let errors = args.images.iter().filter_map(|name| remove(name).err());
    let mut errors: Vec<_> = errors.collect();
    let Some(last) = errors.pop() else {
        return Ok(());
    };
    errors.iter().for_each(print_error);
    Err(last)
}

/// Parses the name of an image of the store.
fn stored(text: &str) -> Result<Reference> {
    let remedy = "it is not in the store; name an image that `wasi-overlay images` lists";
    reference(text, remedy)
}

/// Gives an image another name.
pub(crate) fn tag(args: &TagArgs) -> Result<()> {
    let store = Store::open()?;
    let name = reference(
        &args.name,
        "a new name has no transport; write one like `app:2`",
    )?;
    Ok(store.tag(&stored(&args.image)?, &name)?)
}

/// Removes files that no image needs.
pub(crate) fn prune(args: &PruneArgs) -> Result<()> {
    let pruned = Store::open()?.prune(&Prune {
        compressed: args.blobs,
        images: args.all,
        dry_run: args.dry_run,
        min_age: Duration::from_secs(args.min_age.saturating_mul(60)),
    })?;
    for name in &pruned.names {
        write_stdout(&format!("{name}\n"))?;
    }
    print_notice(format_args!(
        "{} {}, {} freed{}",
        count(pruned.blobs.len() as u64, "file"),
        if args.dry_run {
            "would be removed"
        } else {
            "removed"
        },
        Bytes(pruned.bytes),
        match args.min_age {
            0 => String::new(),
            minutes => format!(
                "; files younger than {} stay (--min-age)",
                count(minutes, "minute")
            ),
        }
    ));
    Ok(())
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Checks the digests of the store.
pub(crate) fn verify(args: &VerifyArgs) -> Result<()> {
    let store = Store::open()?;
    let image = args.image.as_deref().map(stored).transpose()?;
    let problems = store.verify(image.as_ref())?;
    for problem in &problems {
        let line = match problem {
            Problem::Damaged { digest, .. } => format!(
                "{} is damaged; remove the file, and pull its images again\n",
                store.blob_path(digest).display()
            ),
            _ => format!("{problem}\n"),
        };
        write_stdout(&line)?;
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("the store has a problem"),
        many => bail!("the store has {many} problems"),
    }
}
