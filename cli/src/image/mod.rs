//! Images: the store, registries, and the commands for both.

mod args;
mod commands;
mod inspect;
mod program;
mod progress;
mod transfer;

pub(crate) use args::{
    HistoryArgs, ImagesArgs, InspectArgs, PruneArgs, PullArg, PullArgs, PushArgs, RegistryArgs,
    RmiArgs, TagArgs, VerifyArgs,
};
pub(crate) use commands::{images, prune, rmi, tag, verify};
pub(crate) use inspect::{history, inspect};
pub(crate) use program::{ImageProgram, image_of};
pub(crate) use transfer::{pull, push};

use crate::args::RunArgs;
use crate::layer_arg::has_archive_suffix;
use crate::messages::print_warning;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsStr;
use std::io::Read;
use std::path::PathBuf;
use wasi_overlay_image::registry::{Client, Credentials, Mirror, Options, Progress};
use wasi_overlay_image::{Choice, Error, Image, Platform, Purpose, Reference, Store, Transport};

/// The store and the registries of a command. Both are opened when they are needed.
pub(crate) struct Images {
    store: Option<Store>,
    client: Option<Client>,
    registry: RegistryArgs,
    pull: PullArg,
    quiet: bool,
    /// The platform that the user says.
    pub(crate) platform: Option<Platform>,
    /// Whether layers are decompressed while they are downloaded.
    unpacks: bool,
}

impl Images {
    /// Registries are reached as `registry` says, and images are pulled when `pull` says so.
    pub(crate) fn new(registry: &RegistryArgs, pull: PullArg, quiet: bool) -> Self {
        Self {
            store: None,
            client: None,
            registry: registry.clone(),
            pull,
            quiet,
            platform: None,
            unpacks: false,
        }
    }

    /// As [`new`](Self::new), for a program that runs as soon as its images are pulled.
    pub(crate) fn for_run(args: &RunArgs) -> Result<Self> {
        let images = Self::new(&args.registry, args.pull.unwrap_or_default(), false);
        Ok(Self {
            platform: platform(args.platform.as_deref())?,
            unpacks: true,
            ..images
        })
    }

    /// The choice of an image for this purpose.
    pub(crate) fn choice(&self, purpose: Purpose) -> Choice {
        Choice {
            platform: self.platform.clone(),
            purpose,
        }
    }

    /// The store.
    pub(crate) fn store(&mut self) -> Result<&Store> {
        let store = match self.store.take() {
            Some(store) => store,
            None => Store::open()?,
        };
        Ok(self.store.insert(store))
    }

    /// The store, if it was needed before.
    pub(crate) fn known_store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// The directory of the store, if it was needed.
    pub(crate) fn store_path(&self) -> Option<PathBuf> {
        self.store.as_ref().map(|store| store.path().to_owned())
    }

    /// The client for registries, the store, and the progress of one transfer. Drop the progress before
    /// anything else is printed: that removes the bars of a transfer that failed.
    pub(crate) fn client(&mut self) -> Result<(&Client, Store, Box<dyn Progress>)> {
        let store = self.store()?.clone();
        let progress = progress::new(self.registry.progress.unwrap_or_default(), self.quiet);
        let client = match self.client.take() {
            Some(client) => client,
            None => {
                let mut options = options(&self.registry)?;
                options.unpack = self.unpacks.then(wasi_overlay::Limits::default);
                Client::new(options)
            }
        };
        let client = self.client.insert(client);
        Ok((client, store, progress))
    }

    /// An image of a registry, which is pulled if `--pull` says so.
    fn pull_if_needed(&mut self, reference: &Reference, choice: &Choice) -> Result<Image> {
        let stored = match self.store()?.image(reference, choice) {
            Ok(image) => Some(image),
            // No such name, or a manifest for another platform, or a blob that was removed.
            Err(Error::NotInStore { .. } | Error::NotFound { .. })
                if self.pull != PullArg::Never =>
            {
                None
            }
            Err(error) => return Err(error.into()),
        };
        let is_needed = match (self.pull, &stored) {
            (PullArg::Missing, Some(image)) => !image.is_complete()?,
            (PullArg::Missing, None) => true,
            (PullArg::Always | PullArg::Newer, _) => true,
            (PullArg::Never, _) => false,
        };
        if is_needed {
            let pull = self.pull;
            let (client, store, progress) = self.client()?;
            let pulled = client.pull(&store, reference, choice, &*progress);
            drop(progress);
            match (pulled, stored) {
                (Ok(_), _) => {}
                (Err(error), Some(image)) if pull == PullArg::Newer => {
                    print_warning(format_args!("{error}; the image in the store is used"));
                    return Ok(image);
                }
                (Err(error), _) => return Err(error.into()),
            }
        } else if let Some(image) = stored {
            return Ok(image);
        }
        Ok(self.store()?.image(reference, choice)?)
    }

    /// The image that `transport` names.
    pub(crate) fn open(&mut self, transport: &Transport, purpose: Purpose) -> Result<Image> {
        if let Transport::Registry(reference) = transport {
            return self.pull_if_needed(reference, &self.choice(purpose));
        }
        let choice = self.choice(match purpose {
            Purpose::Data => Purpose::Present,
            other => other,
        });
        let limits = wasi_overlay::Limits::default();
        let store = match self.store() {
            Ok(store) => Some(store),
            Err(error) if matches!(transport, Transport::Store(_)) => return Err(error),
            // A layout can be read without a store.
            Err(error) => {
                print_warning(format_args!(
                    "{error}; compressed layers cannot be read without a store"
                ));
                None
            }
        };
        Ok(transport.image(store, &choice, &limits)?)
    }
}

/// The options of the registry client.
fn options(args: &RegistryArgs) -> Result<Options> {
    let mut options = Options::default();
    if let Some(creds) = &args.creds {
        let creds = if args.password_stdin {
            ensure!(
                !creds.contains(':'),
                "--creds has a password already; write --creds USER with --password-stdin"
            );
            let mut password = String::new();
            std::io::stdin()
                .take(64 << 10)
                .read_to_string(&mut password)
                .context("--password-stdin: the password cannot be read")?;
            format!("{creds}:{}", password.trim_end_matches(['\n', '\r']))
        } else {
            creds.clone()
        };
        options.credentials = Some(Credentials::parse(&creds));
    }
    options.auth_file.clone_from(&args.authfile);
    options.verify_tls = args.tls_verify.unwrap_or(true);
    options.cert_dir.clone_from(&args.cert_dir);
    options.plain_http.clone_from(&args.plain_http);
    if let Some(retries) = args.retry_times {
        options.retries = retries;
    }
    for mirror in &args.mirror {
        let (registry, location) = mirror.split_once('=').with_context(|| {
            format!("--mirror {mirror}: the mirror is missing; write REGISTRY=HOST[/PREFIX]")
        })?;
        options.mirrors.push(Mirror {
            registry: registry.to_owned(),
            location: location.to_owned(),
            fall_back: true,
        });
    }
    Ok(options)
}

/// Parses the value of `--platform`.
fn platform(text: Option<&str>) -> Result<Option<Platform>> {
    text.map(|text| text.parse().with_context(|| format!("--platform {text}")))
        .transpose()
}

/// Parses a name of the store or a registry, with or without `store:` or `docker://` in front. `remedy` is for
/// another transport.
fn reference(text: &str, remedy: &str) -> Result<Reference> {
    match Transport::parse(OsStr::new(text)) {
        Ok(Transport::Registry(reference) | Transport::Store(reference)) => Ok(reference),
        // A word without a transport is a name here, even if there is such a file.
        Ok(Transport::Dir(_) | Transport::Tar(_)) | Err(_) => Ok(text.parse()?),
        Ok(other) => bail!("{other}: {remedy}"),
    }
}

/// A name as users write it: an image of the store, unless it has a transport.
fn image_name(text: &OsStr) -> Result<Transport> {
    let transport = Transport::parse(text)?;
    // A word without a transport is a name here, even if there is such a file.
    if let (Transport::Dir(path) | Transport::Tar(path), Some(text)) = (&transport, text.to_str())
        && !(has_archive_suffix(path) && path.exists())
        && !text.starts_with("tar:")
        && !text.starts_with("dir:")
        && let Ok(reference) = text.parse()
    {
        return Ok(Transport::Store(reference));
    }
    Ok(transport)
}
