//! Arguments of the commands for images.

use crate::args::utf8;
use clap::{Args, ValueEnum, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;

/// How to reach registries.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Registry")]
pub(crate) struct RegistryArgs {
    /// User and password for the registry, instead of those that docker and podman stored.
    #[arg(long, value_name = "USER[:PASSWORD]", value_parser = utf8())]
    pub(crate) creds: Option<String>,

    /// Reads the password of `--creds USER` from stdin.
    #[arg(long, requires = "creds")]
    pub(crate) password_stdin: bool,

    /// File with credentials, in the form of docker's config.json.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) authfile: Option<PathBuf>,

    /// Whether to check the certificates of registries [default: true].
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tls_verify: Option<bool>,

    /// Folder with certificates of CAs to trust (`*.crt`).
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cert_dir: Option<PathBuf>,

    /// Reaches this registry without TLS. Registries on this machine need no such option.
    #[arg(long, value_name = "HOST[:PORT]", value_parser = utf8())]
    pub(crate) plain_http: Vec<String>,

    /// Pulls from this host first.
    #[arg(long, value_name = "REGISTRY=HOST[/PREFIX]", value_parser = utf8())]
    pub(crate) mirror: Vec<String>,

    /// How often a request is repeated after a failure that may pass [default: 3].
    #[arg(long, value_name = "NUMBER")]
    pub(crate) retry_times: Option<u32>,

    /// How the progress of a transfer is shown on stderr: bars on a terminal, otherwise a line for each
    /// layer [default: auto].
    #[arg(long, value_name = "FORM")]
    pub(crate) progress: Option<ProgressArg>,
}

/// The value of `--progress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    /// Bars on a terminal, else lines
    #[default]
    Auto,
    /// A line for each layer
    Plain,
    /// Nothing
    None,
}

/// The value of `--pull`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullArg {
    /// If the store does not have the image
    #[default]
    Missing,
    /// In any case; what is in the store is not downloaded again
    Always,
    /// Not at all
    Never,
    /// If the registry can be reached and has another image under this name
    Newer,
}

/// The arguments of `pull`.
#[derive(Args)]
pub(crate) struct PullArgs {
    /// Platform of the image, if it has several [default: WebAssembly, else that of this machine].
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = utf8())]
    pub(crate) platform: Option<String>,

    /// Shows no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    /// The image, as in `ghcr.io/user/app:1`.
    #[arg(value_name = "IMAGE", required = true, help_heading = None)]
    pub(crate) image: OsString,
}

/// The arguments of `push`.
#[derive(Args)]
pub(crate) struct PushArgs {
    /// Pushes the image for this platform alone, if there are several.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = utf8())]
    pub(crate) platform: Option<String>,

    /// Shows no progress.
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    /// The image: a name in the store, or one that skopeo names, as in `oci:DIR`.
    #[arg(value_name = "IMAGE", required = true, help_heading = None)]
    pub(crate) image: OsString,

    /// Where to push it [default: the name of the image].
    #[arg(value_name = "REFERENCE", value_parser = utf8(), help_heading = None)]
    pub(crate) reference: Option<String>,
}

/// The arguments of `images`.
#[derive(Args)]
pub(crate) struct ImagesArgs {
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(crate) format: FormatArg,
}

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The arguments of `rmi`.
#[derive(Args)]
pub(crate) struct RmiArgs {
    /// The names to remove. The files are removed by `prune`.
    #[arg(value_name = "IMAGE", required = true, value_parser = utf8())]
    pub(crate) images: Vec<String>,
}

/// The arguments of `tag`.
#[derive(Args)]
pub(crate) struct TagArgs {
    /// An image in the store.
    #[arg(value_name = "IMAGE", value_parser = utf8())]
    pub(crate) image: String,

    /// Another name for it.
    #[arg(value_name = "NAME", value_parser = utf8())]
    pub(crate) name: String,
}

/// The arguments of `inspect`.
#[derive(Args)]
pub(crate) struct InspectArgs {
    /// Platform of the image, if it has several.
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = utf8())]
    pub(crate) platform: Option<String>,

    /// A name in the store, or an image or archive that skopeo names, as in `oci:DIR`.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: OsString,
}

/// The arguments of `history`.
#[derive(Args)]
pub(crate) struct HistoryArgs {
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(crate) format: FormatArg,

    /// A name in the store, or an image that skopeo names, as in `oci:DIR`.
    #[arg(value_name = "IMAGE")]
    pub(crate) image: OsString,
}

/// The arguments of `prune`.
#[derive(Args)]
pub(crate) struct PruneArgs {
    /// Also removes compressed layers, whose content the store has. The images run, but cannot be pushed.
    #[arg(long)]
    pub(crate) blobs: bool,

    /// Also removes all images that no program uses.
    #[arg(short, long)]
    pub(crate) all: bool,

    /// Keeps files that are younger: an image that is being pulled has no name yet.
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    pub(crate) min_age: u64,

    /// Only says what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// The arguments of `verify`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// An image in the store [default: the whole store].
    #[arg(value_name = "IMAGE", value_parser = utf8())]
    pub(crate) image: Option<String>,
}
