//! The commands for the store: `images`, `rmi`, `tag`, `prune`, `verify`.

use super::args::FormatArg;
use super::{ImagesArgs, PruneArgs, RmiArgs, TagArgs, VerifyArgs};
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
    let mut failed = false;
    for name in &args.images {
        let removed = name
            .parse()
            .and_then(|reference: Reference| store.remove_image(&reference));
        if let Err(error) = removed {
            print_error(&error.into());
            failed = true;
        }
    }
    if failed {
        bail!("not all names were removed");
    }
    Ok(())
}

/// Gives an image another name.
pub(crate) fn tag(args: &TagArgs) -> Result<()> {
    let store = Store::open()?;
    Ok(store.tag(&args.image.parse()?, &args.name.parse()?)?)
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
        "{} files {}, {} free{}",
        pruned.blobs.len(),
        if args.dry_run {
            "would be removed"
        } else {
            "removed"
        },
        Bytes(pruned.bytes),
        match args.min_age {
            0 => String::new(),
            minutes => format!("; files younger than {minutes} minutes stay (--min-age)"),
        }
    ));
    Ok(())
}

/// Checks the digests of the store.
pub(crate) fn verify(args: &VerifyArgs) -> Result<()> {
    let store = Store::open()?;
    let image = args.image.as_deref().map(str::parse).transpose()?;
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
