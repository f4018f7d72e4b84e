//! Definitions of the command-line arguments.
//!
//! Options come before the wasm file, the guest's arguments after it. Options of `wasmtime run` have the
//! same names and meaning here.

use crate::completion::CompletionArgs;
use crate::compose::{ComponentArgs, ComposeArgs};
use crate::fields::into_utf8;
use crate::image::{
    HistoryArgs, ImagesArgs, InspectArgs, PruneArgs, PullArg, PullArgs, PushArgs, RegistryArgs,
    RmiArgs, TagArgs, VerifyArgs,
};
use crate::layer_arg::LayerArg;
use crate::mounts::{AbsoluteSymlinksArg, DirSpec, OverlaySpec, UpperArg, parse_tmpfs};
use anyhow::{Result, ensure};
use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser};
use clap::{Args, Parser, Subcommand, ValueHint};
use std::ffi::OsString;
use std::sync::LazyLock;
use wasmtime_cli_flags::CommonOptions;

/// Runs WebAssembly programs on layers of directories, archives and images.
#[derive(Parser)]
#[command(name = "wasi-overlay", version = VERSION.as_str(), after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A subcommand.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs a WebAssembly program, or that of an image, on an overlay of directories.
    Run(Box<RunArgs>),
    /// Pulls an image from a registry into the store.
    Pull(Box<PullArgs>),
    /// Pushes an image to a registry.
    Push(Box<PushArgs>),
    /// Lists the images in the store.
    Images(ImagesArgs),
    /// Removes the names of images.
    Rmi(RmiArgs),
    /// Gives an image in the store another name.
    Tag(TagArgs),
    /// Prints what an image says of itself, as JSON.
    Inspect(InspectArgs),
    /// Prints the steps of the build of an image.
    History(HistoryArgs),
    /// Removes files of the store that no image needs.
    Prune(PruneArgs),
    /// Checks the digests of the store.
    Verify(VerifyArgs),
    /// Embeds an overlay in a WebAssembly program, to run on any WASI 0.2 host.
    Compose(ComposeArgs),
    /// Writes the overlay as a separate component, for composers such as `wac plug`.
    Component(ComponentArgs),
    /// Writes a completion script for a shell.
    Completion(CompletionArgs),
}

/// The version of the command and of its wasmtime.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{} (wasmtime {})",
        env!("CARGO_PKG_VERSION"),
        wasmtime_environ::VERSION
    )
});

/// A parser of values with `parse`, which may be paths that are not UTF-8.
fn parser<T: Clone + Send + Sync + 'static>(
    parse: impl Fn(OsString) -> Result<T> + Clone + Send + Sync + 'static,
) -> ValueParser {
    OsStringValueParser::new().try_map(parse).into()
}

/// A parser of values that WASI requires to be UTF-8. Clap's own does not name the value in its error.
pub(crate) fn utf8() -> ValueParser {
    parser(into_utf8)
}

/// The arguments of `run`.
#[derive(Args)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) main: MainMount,

    /// Mounts another overlay: `dst=/data,layer=a,layer=b,upper=c`.
    ///
    /// Keys: `dst=GUEST_PATH`; `layer=DIR`, repeated for each layer, bottom first; `upper=DIR`,
    /// `upper=memory[:SIZE]` or `memory[=SIZE]`; `ro`; `volatile`; `absolute-symlinks=refuse|root`;
    /// `cross-mounts` (enter filesystems that are mounted inside a layer). A comma in a path is written
    /// `\,`, a backslash `\\`.
    #[arg(long = "mount", help_heading = "More mounts", value_name = "SPEC", value_parser = parser(OverlaySpec::parse))]
    pub(crate) mounts: Vec<OverlaySpec>,

    /// Mounts a host directory as it is, without layers.
    ///
    /// `HOST` has the same name in the guest, `HOST::GUEST` the name `GUEST`; `::ro` makes it
    /// read-only.
    #[arg(long = "dir", help_heading = "More mounts", value_name = "HOST[::GUEST[::ro]]",
          value_hint = ValueHint::DirPath, value_parser = parser(DirSpec::parse_dir))]
    pub(crate) dirs: Vec<DirSpec>,

    /// As `--dir HOST::GUEST`, in the words of docker.
    #[arg(short = 'v', long = "volume", help_heading = "More mounts", value_name = "HOST:GUEST[:ro]",
          value_hint = ValueHint::DirPath, value_parser = parser(DirSpec::parse_volume))]
    pub(crate) volumes: Vec<DirSpec>,

    /// Mounts an empty directory in memory, whose content is discarded at the end [default size: 1g].
    #[arg(long, help_heading = "More mounts", value_name = "GUEST_PATH[:size=SIZE]", value_parser = parser(parse_tmpfs))]
    pub(crate) tmpfs: Vec<OverlaySpec>,

    /// Sets an environment variable of the guest; without a value, inherits it.
    #[arg(short = 'e', long = "env", help_heading = "Program", value_name = "NAME[=VALUE]",
          value_parser = parser(EnvVar::parse))]
    pub(crate) env: Vec<EnvVar>,

    /// Tells the guest in which directory to start: in `PWD`, and in `initial-cwd` of WASI 0.2 and 0.3.
    ///
    /// WASI has no working directory: a program has to change to this one by itself. Programs of
    /// wasi-libc, such as those in C and Rust, start in `/` and do not.
    #[arg(short = 'w', long, help_heading = "Program", value_name = "GUEST_DIR", value_parser = parser(parse_workdir))]
    pub(crate) workdir: Option<String>,

    /// Calls this function instead of the program's entry point.
    ///
    /// For a core module, the name of an export, which gets the arguments after the wasm file.
    /// For a component, a call in WAVE, as `name(arguments)`.
    #[arg(long, help_heading = "Program", value_name = "FUNCTION", value_parser = utf8())]
    pub(crate) invoke: Option<String>,

    /// Overrides `argv[0]`, which is the name of the wasm file by default.
    #[arg(long, help_heading = "Program", value_name = "NAME", value_parser = utf8())]
    pub(crate) argv0: Option<String>,

    /// Allows a precompiled program (`*.cwasm`).
    ///
    /// It is native code, which cannot be validated: use only files of `wasmtime compile` that
    /// you trust.
    #[arg(long, help_heading = "Program")]
    pub(crate) allow_precompiled: bool,

    /// When the image is pulled [default: missing].
    #[arg(long, help_heading = "Image", value_name = "WHEN")]
    pub(crate) pull: Option<PullArg>,

    /// Platform of the image, if it has several [default: WebAssembly].
    #[arg(long, help_heading = "Image", value_name = "OS/ARCH[/VARIANT]", value_parser = utf8())]
    pub(crate) platform: Option<String>,

    /// Runs this program of the image instead of its own.
    #[arg(long, help_heading = "Image", value_name = "PATH", value_parser = utf8())]
    pub(crate) entrypoint: Option<String>,

    #[command(flatten)]
    pub(crate) registry: RegistryArgs,

    #[command(flatten)]
    pub(crate) unserved: UnservedArgs,

    #[command(flatten, next_help_heading = "Wasmtime")]
    pub(crate) common: CommonOptions,

    /// The program (a core module of WASI 0.1 or a component of WASI 0.2 or 0.3; binary, text or
    /// precompiled) or an image, and its arguments.
    #[arg(
        value_name = "APP|IMAGE",
        help_heading = None,
        trailing_var_arg = true,
        required = true,
        value_hint = ValueHint::FilePath
    )]
    pub(crate) app_and_args: Vec<OsString>,
}

/// Options of `wasmtime run` that are not served, so that they can be told from misspelt ones.
#[derive(Args)]
pub(crate) struct UnservedArgs {
    #[arg(long, hide = true, value_name = "STRATEGY")]
    pub(crate) profile: Option<OsString>,

    #[arg(long, hide = true, value_name = "NAME=MODULE_PATH")]
    pub(crate) preload: Vec<OsString>,

    #[arg(short = 'g', long, hide = true, value_name = "[ADDR:]PORT")]
    pub(crate) gdbstub: Option<OsString>,
}

/// The overlay that `--layer`, `--upper` and the other overlay options describe.
#[derive(Args)]
#[command(next_help_heading = "Overlay")]
pub(crate) struct MainMount {
    /// Adds a read-only layer, on top of the previous layers: a directory, a tar (plain, gzip or zstd), or
    /// all layers of an image.
    ///
    /// Images are named as in skopeo: `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE`,
    /// `docker://NAME`. A directory with such a name is written `./oci:x`.
    #[arg(long = "layer", value_name = "DIR|TAR|IMAGE", value_hint = ValueHint::AnyPath,
          value_parser = parser(LayerArg::parse))]
    pub(crate) layers: Vec<LayerArg>,

    /// Keeps changes in a directory, or in memory, where they are discarded at the end
    /// [default: memory:1g].
    ///
    /// The directory is created if the one above it exists. It can be a layer of a later run.
    #[arg(long, value_name = "DIR|memory[:SIZE]", value_hint = ValueHint::DirPath,
          value_parser = parser(UpperArg::parse))]
    pub(crate) upper: Option<UpperArg>,

    /// Mounts the overlay read-only.
    #[arg(long)]
    pub(crate) read_only: bool,

    /// Mount point of the overlay in the guest [default: /].
    #[arg(long, value_name = "GUEST_PATH", value_parser = utf8())]
    pub(crate) at: Option<String>,

    /// Does not sync changes to disk: after a crash of the machine, discard the upper.
    #[arg(long)]
    pub(crate) volatile: bool,

    /// Whether absolute symbolic links in layers are refused, or resolved from the mount's root
    /// [default: root with an image, else refuse].
    #[arg(long, value_name = "POLICY")]
    pub(crate) absolute_symlinks: Option<AbsoluteSymlinksArg>,
}

/// The value of one `--env` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvVar {
    /// The name.
    pub(crate) name: String,
    /// The value; none to inherit it.
    pub(crate) value: Option<String>,
}

impl EnvVar {
    fn parse(text: OsString) -> Result<Self> {
        let text = into_utf8(text)?;
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), None),
        };
        ensure!(!name.is_empty(), "the name is missing; write NAME=VALUE");
        Ok(Self {
            name: name.to_owned(),
            value,
        })
    }
}

/// Parses the value of `--workdir`.
fn parse_workdir(text: OsString) -> Result<String> {
    let text = into_utf8(text)?;
    ensure!(
        text.starts_with('/'),
        "it is not absolute; a directory of the guest begins with `/`, as in /{}",
        text.trim_start_matches("./"),
    );
    Ok(text)
}

const AFTER_HELP: &str = "\
If no subcommand is given, `run` is used:
  wasi-overlay --layer base tool.wasm

Help with all options of a run:
  wasi-overlay run --help";

const EXAMPLES: &str = "\
Examples:
  Run a program on two layers, and discard its changes at the end:
    wasi-overlay run --layer base --layer app tool.wasm

  Keep its changes in a directory:
    wasi-overlay run --layer base --upper changes tool.wasm --verbose

  Use those changes as a layer of the next run:
    wasi-overlay run --layer base --layer changes tool.wasm

  Give it /tmp in memory, and read-only data:
    wasi-overlay run --layer base --tmpfs /tmp:size=64m \\
      -v ./data:/data:ro tool.wasm

  Mount a second overlay:
    wasi-overlay run --layer base --mount dst=/data,layer=seed,memory=64m \\
      tool.wasm

  Run an image, with data as another layer:
    wasi-overlay run --layer data.tar.gz ghcr.io/user/app:1

  Call a function:
    wasi-overlay run --layer base --invoke add sum.wat 1 2

  Log failed calls of the program (call, path, layer, reason, remedy):
    WASMTIME_LOG=wasi_overlay=debug wasi-overlay run --layer base tool.wasm";

const USAGE: &str = "wasi-overlay run [OPTIONS] APP|IMAGE [ARGS]...";
