//! The commands `pull` and `push`.

use super::{Images, PullArg, PullArgs, PushArgs, image_name, platform, reference};
use crate::output::write_stdout;
use anyhow::{Result, bail};
use wasi_overlay_image::{Purpose, Transport};

/// Pulls an image, and prints the digest of its manifest.
pub(crate) fn pull(args: &PullArgs) -> Result<()> {
    let mut images = Images::new(&args.registry, PullArg::Always, args.quiet);
    images.platform = platform(args.platform.as_deref())?;
    let digest = match image_name(&args.image)? {
        Transport::Registry(reference) | Transport::Store(reference) => {
            let choice = images.choice(Purpose::Data);
            let (client, store, progress) = images.client()?;
            client
                .pull(&store, &reference, &choice, &*progress)?
                .manifest
        }
        other => bail!(
            "{other}: it is on this machine already; use it as it is, as in `wasi-overlay run {other}`"
        ),
    };
    write_stdout(&format!("{digest}\n"))
}

/// Pushes an image, and prints the digest of what its name stands for.
pub(crate) fn push(args: &PushArgs) -> Result<()> {
    let mut images = Images::new(&args.registry, PullArg::Never, args.quiet);
    images.platform = platform(args.platform.as_deref())?;
    let transport = image_name(&args.image)?;
    let target = args.reference.as_deref();
    let target = target.map(|text| {
        reference(
            text,
            "push sends an image to a registry; skopeo copies it to other places",
        )
    });
    let target = target.transpose()?;
    let _adding;
    let (digest, target) = match (&transport, target) {
        (Transport::Store(name) | Transport::Registry(name), target) => {
            let choice = images.choice(Purpose::Data);
            let store = images.store()?;
            let of_platform = match choice.platform {
                Some(_) => store.image(name, &choice)?.digest(),
                None => None,
            };
            let digest = of_platform.map_or_else(|| store.digest_of(name), Ok)?;
            (digest, target.unwrap_or_else(|| name.clone()))
        }
        (other, None) => {
            bail!("{other}: where should it go? Write `wasi-overlay push {other} REFERENCE`")
        }
        (other, Some(target)) => {
            let image = images.open(other, Purpose::Data)?;
            let store = images.store()?;
            // The copy has no name, and stays until it is sent.
            _adding = store.adding()?;
            let descriptor = image.copy_to(store)?;
            (descriptor.digest().to_string().parse()?, target)
        }
    };
    let (client, store, progress) = images.client()?;
    let digest = client.push(&store, digest, &target, &*progress)?;
    write_stdout(&format!("{digest}\n"))
}
