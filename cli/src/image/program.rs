//! The program of an image: `run IMAGE`.

use super::Images;
use crate::args::{EnvVar, RunArgs};
use crate::layer_arg::{self, Folder, has_archive_suffix};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::ffi::OsString;
use std::path::Path;
use wasi_overlay::{Dir, Errno, Limits, Lower, Overlay};
use wasi_overlay_image::{Config, Image, Overrides, Purpose, Reference, Transport};

/// The maximum number of bytes of a program.
const MAX_PROGRAM: usize = 1 << 30;

/// Where programs are searched if the image does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image that is run: its layers, and where its program comes from.
pub(crate) struct ImageProgram {
    name: String,
    lowers: Vec<Lower>,
    folders: Vec<Folder>,
    source: Source,
}

enum Source {
    /// The file that this word names, in the merged tree.
    File {
        word: String,
        path: String,
        working_dir: String,
    },
    /// The module of a Wasm artifact.
    Module(Vec<u8>),
}

/// The image that the program's argument names; none if it is a file, or cannot be an image.
///
/// # Errors
/// That of a transport.
pub(crate) fn image_of(args: &RunArgs) -> Result<Option<Transport>> {
    let Some(app) = args.app_and_args.first() else {
        return Ok(None);
    };
    if app == "-" {
        return Ok(None); // The program is read from stdin.
    }
    let path = Path::new(app);
    let transport = Transport::parse(app)?;
    match transport {
        Transport::Dir(_) | Transport::Tar(_) => {}
        image => return Ok(Some(image)),
    }
    if [&b"tar:"[..], b"dir:"]
        .iter()
        .any(|name| app.as_encoded_bytes().starts_with(name))
        && !path.exists()
    {
        let name = app.display();
        bail!(
            "{name}: it is a layer, and not an image; use it with `--layer {name}`, and name a program"
        );
    }
    let is_module = path
        .extension()
        .is_some_and(|suffix| ["wasm", "wat", "cwasm"].iter().any(|it| suffix == *it));
    if has_archive_suffix(path) && path.is_file() {
        let name = path.display();
        bail!(
            "{name}: it is an archive; run the image in it as `docker-archive:{name}` or \
             `oci-archive:{name}`, or use it as a layer with `--layer {name}`"
        );
    }
    if is_module || app == "-" || path.exists() {
        return Ok(None);
    }
    let reference = app.to_str().and_then(|app| app.parse::<Reference>().ok());
    Ok(reference.map(Transport::Registry))
}

impl ImageProgram {
    /// Opens the image, and sets the options that follow from it: the command with its arguments, the
    /// environment, and the working directory.
    pub(crate) fn open(
        args: &mut RunArgs,
        images: &mut Images,
        transport: &Transport,
    ) -> Result<Self> {
        let image = images.open(transport, Purpose::Program).map_err(|error| {
            let app = args.app_and_args.first();
            match app.and_then(|app| app.to_str()) {
                Some(app) if !app.contains(':') || app.parse::<Reference>().is_ok() => error
                    .context(format!(
                        "`{app}` is not a file here, and cannot be used as an image"
                    )),
                _ => error,
            }
        })?;
        let name = transport.to_string();
        let own_args = args.app_and_args.iter().skip(1).map(|arg| {
            arg.to_str().map(str::to_owned).with_context(|| {
                format!(
                    "the argument `{}` is not UTF-8, which WASI requires",
                    arg.display()
                )
            })
        });
        let command = image.config().command(&Overrides {
            entrypoint: args.entrypoint.clone().map(|entrypoint| vec![entrypoint]),
            args: own_args.collect::<Result<_>>()?,
            working_dir: args.workdir.clone(),
            env: Vec::new(),
        })?;
        set_env(args, &command.env);
        args.workdir.clone_from(&command.working_dir);
        if args.invoke.is_none() {
            args.invoke = command.function;
        }
        let (argv, source) = match image.read_module(MAX_PROGRAM as u64)? {
            Some(module) if args.entrypoint.is_none() => {
                (artifact_argv(&image, command.argv), Source::Module(module))
            }
            _ => {
                let Some(word) = command.argv.first().cloned() else {
                    bail!(
                        "{name} says neither an entrypoint nor a command; name its program with \
                         --entrypoint PATH"
                    );
                };
                let source = Source::File {
                    word,
                    path: path_variable(image.config()),
                    working_dir: command.working_dir.unwrap_or_else(|| "/".to_owned()),
                };
                (command.argv, source)
            }
        };
        // In an image, the whole path is the name of the program.
        if args.argv0.is_none() {
            args.argv0 = argv.first().cloned();
        }
        args.app_and_args = argv.into_iter().map(OsString::from).collect();
        Ok(Self {
            name,
            lowers: image.lowers(&Limits::default())?,
            folders: layer_arg::folders(transport, images),
            source,
        })
    }

    /// The image as the user named it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its layers, the bottom one first.
    pub(crate) fn lowers(&self) -> &[Lower] {
        &self.lowers
    }

    /// Where its files lie, which no mount may change.
    pub(crate) fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// The name and the bytes of the program, in the tree that `layers` merge to.
    pub(crate) fn read(&self, layers: Vec<Lower>) -> Result<(String, Vec<u8>)> {
        let (word, path, working_dir) = match &self.source {
            Source::Module(module) => return Ok((self.name.clone(), module.clone())),
            Source::File {
                word,
                path,
                working_dir,
            } => (word, path, working_dir),
        };
        let builder = layers.into_iter().fold(
            Overlay::builder().absolute_symlinks(wasi_overlay::AbsoluteSymlinks::Root),
            wasi_overlay::OverlayBuilder::lower,
        );
        let overlay = builder
            .read_only(true)
            .build()
            .map_err(|error| anyhow!("{}: {error}", self.name))?;
        let root = overlay.root();
        for candidate in candidates(word, path, working_dir) {
            if let Some(bytes) = self.read_file(&root, &candidate)? {
                return Ok((candidate, bytes));
            }
        }
        bail!(
            "{}: its program `{word}` is not in the image; name another one with --entrypoint PATH",
            self.name
        )
    }

    fn read_file(&self, root: &Dir, path: &str) -> Result<Option<Vec<u8>>> {
        let relative = path.trim_start_matches('/');
        let bytes = match root.read(relative, MAX_PROGRAM) {
            Ok(bytes) => bytes,
            Err(error)
                if matches!(
                    error.errno(),
                    Errno::NoEntry | Errno::NotDirectory | Errno::IsDirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => bail!(
                "{}: its program `{path}` cannot be read ({error})",
                self.name
            ),
        };
        ensure!(
            !bytes.starts_with(b"\x7fELF"),
            "{}: its program `{path}` is one for Linux, and not WebAssembly; if the image has others, \
             choose one with --platform or --entrypoint",
            self.name
        );
        Ok(Some(bytes))
    }
}

/// Adds the variables of the image that the user does not set.
fn set_env(args: &mut RunArgs, env: &[(String, String)]) {
    let of_image = env
        .iter()
        .filter(|(name, _)| args.env.iter().all(|var| var.name != *name))
        .map(|(name, value)| EnvVar {
            name: name.clone(),
            value: Some(value.clone()),
        })
        .collect::<Vec<_>>();
    args.env.splice(0..0, of_image);
}

/// The arguments of a Wasm artifact, whose module may have no name.
fn artifact_argv(image: &Image, argv: Vec<String>) -> Vec<String> {
    let has_program = !image.config().entrypoint.is_empty() || !image.config().cmd.is_empty();
    if has_program {
        return argv;
    }
    let title = image
        .module()
        .ok()
        .flatten()
        .and_then(|module| module.title.clone());
    let name = title.unwrap_or_else(|| "main.wasm".to_owned());
    std::iter::once(name).chain(argv).collect()
}

fn path_variable(config: &Config) -> String {
    let path = config.env.iter().find(|(name, _)| name == "PATH");
    path.map_or_else(|| DEFAULT_PATH.to_owned(), |(_, value)| value.clone())
}

/// Where a program is looked for: a path as it is or in the working directory; a name in the directories of
/// `PATH`, in the working directory and in the root, where images of WebAssembly often have it.
fn candidates(word: &str, path: &str, working_dir: &str) -> Vec<String> {
    let within = |dir: &str| format!("{}/{word}", dir.trim_end_matches('/'));
    if word.starts_with('/') {
        return vec![word.to_owned()];
    }
    if word.contains('/') {
        return vec![within(working_dir), within("")];
    }
    let dirs = path.split(':').filter(|dir| dir.starts_with('/'));
    dirs.map(within)
        .chain([within(working_dir), within("")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::candidates;

    #[test]
    fn programs_are_looked_for_as_in_containers() {
        assert_eq!(candidates("/bin/a", "/bin", "/w"), ["/bin/a"]);
        assert_eq!(candidates("./a", "/bin", "/w"), ["/w/./a", "/./a"]);
        assert_eq!(
            candidates("a", "/bin:rel:/usr/bin/", "/w"),
            ["/bin/a", "/usr/bin/a", "/w/a", "/a"]
        );
    }
}
