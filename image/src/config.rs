//! [`Config`]: what an image says about its program, and the command that follows from it.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::platform::Platform;
use serde_json::Value;

/// The config of a Wasm artifact (CNCF).
pub(crate) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The config of an image, as far as it says how to run it. Read leniently: tools write null, or omit what
/// the specification requires.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The platform.
    pub platform: Option<Platform>,
    /// The beginning of the command line.
    pub entrypoint: Vec<String>,
    /// The rest of the command line, which arguments of the user replace.
    pub cmd: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// The user, which is not used: a guest has no user.
    pub user: Option<String>,
    /// Labels, sorted.
    pub labels: Vec<(String, String)>,
    /// When the image was created (RFC 3339).
    pub created: Option<String>,
    /// The digests of the plain tars of the layers, the bottom one first.
    pub diff_ids: Vec<Digest>,
    /// How the layers came to be, the oldest first.
    pub history: Vec<History>,
}

/// A step of the build of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// When (RFC 3339).
    pub created: Option<String>,
    /// The command.
    pub created_by: Option<String>,
    /// A comment.
    pub comment: Option<String>,
    /// Whether the step made no layer.
    pub is_empty_layer: bool,
}

/// What the user says about the command of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of the image's entrypoint (`--entrypoint`); the image's `Cmd` is dropped then.
    pub entrypoint: Option<Vec<String>>,
    /// Instead of the image's `Cmd`.
    pub args: Vec<String>,
    /// Instead of the image's working directory (`-w`).
    pub working_dir: Option<String>,
    /// Added to the image's environment, the later ones winning (`-e`).
    pub env: Vec<(String, String)>,
}

/// How to run the program of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// The path of the program and its arguments. Only in an image that is a Wasm artifact may it be empty.
    pub argv: Vec<String>,
    /// The exported function to call, from an entrypoint `PATH#FUNCTION`.
    pub function: Option<String>,
    /// The environment.
    pub env: Vec<(String, String)>,
    /// The working directory, absolute. `None` for the root.
    pub working_dir: Option<String>,
}

impl Config {
    /// Reads a config of an image. `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not JSON, a member has another type than it should, or a string that a
    /// guest gets has a NUL.
    pub fn parse(what: &str, bytes: &[u8]) -> Result<Self> {
        let value = json::value(what, bytes)?;
        if !value.is_object() {
            return Err(Error::malformed(what, "it is not an object"));
        }
        let config = value.get("config").unwrap_or(&Value::Null);
        let member = Reader { what };
        let mut env = Vec::new();
        for variable in member.strings(config, "Env")? {
            let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
            if !name.is_empty() {
                env.push((name.to_owned(), value.to_owned()));
            }
        }
        let diff_ids = member
            .strings(value.get("rootfs").unwrap_or(&Value::Null), "diff_ids")?
            .iter()
            .map(|id| id.parse())
            .collect::<Result<_>>()?;
        Ok(Self {
            platform: platform(&value),
            entrypoint: member.strings(config, "Entrypoint")?,
            cmd: member.strings(config, "Cmd")?,
            env,
            working_dir: member.string(config, "WorkingDir")?,
            user: member.string(config, "User")?,
            labels: member.labels(config)?,
            created: member.string(&value, "created")?,
            diff_ids,
            history: member.history(&value)?,
        })
    }

    /// The command that an image with this config runs, changed as the user says.
    ///
    /// # Errors
    /// [`Error::Malformed`] for a working directory or an environment with a NUL.
    pub fn command(&self, overrides: &Overrides) -> Result<Command> {
        let mut argv = Vec::new();
        match &overrides.entrypoint {
            Some(entrypoint) => {
                argv.extend_from_slice(entrypoint);
                argv.extend_from_slice(&overrides.args);
            }
            None => {
                argv.extend_from_slice(&self.entrypoint);
                if overrides.args.is_empty() {
                    argv.extend_from_slice(&self.cmd);
                } else {
                    argv.extend_from_slice(&overrides.args);
                }
            }
        }
        let mut function = None;
        if let Some(program) = argv.first_mut()
            && let Some((path, name)) = program.rsplit_once('#')
            && !name.is_empty()
            && !name.contains('/')
        {
            function = Some(name.to_owned());
            *program = path.to_owned();
        }
        let mut env: Vec<(String, String)> = Vec::new();
        for (name, value) in self.env.iter().chain(&overrides.env) {
            match env.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.clone_from(value),
                None => env.push((name.clone(), value.clone())),
            }
        }
        let working_dir = overrides.working_dir.as_ref().or(self.working_dir.as_ref());
        let working_dir =
            working_dir
                .filter(|path| !path.is_empty())
                .map(|path| match path.strip_prefix('/') {
                    Some(_) => path.clone(),
                    None => format!("/{path}"),
                });
        Ok(Command {
            argv,
            function,
            env,
            working_dir,
        })
    }
}

/// The platform of a config, if it says one.
pub(crate) fn platform(config: &Value) -> Option<Platform> {
    let text = |name| {
        let value = config.get(name)?.as_str()?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    Some(Platform {
        os: text("os")?,
        architecture: text("architecture")?,
        variant: text("variant"),
    })
}

/// Reads members of a config. Null and a missing member are the same.
struct Reader<'a> {
    what: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, name: &str, expected: &str) -> Error {
        Error::malformed(self.what, format_args!("its `{name}` is not {expected}"))
    }

    fn text(&self, name: &str, value: &Value) -> Result<String> {
        let Some(text) = value.as_str() else {
            return Err(self.wrong(name, "text"));
        };
        // A guest gets these strings, and strings of WASI 0.1 end at a NUL.
        if text.contains('\0') {
            return Err(self.wrong(name, "text without NUL"));
        }
        Ok(text.to_owned())
    }

    fn string(&self, parent: &Value, name: &str) -> Result<Option<String>> {
        match parent.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let text = self.text(name, value)?;
                Ok(Some(text).filter(|text| !text.is_empty()))
            }
        }
    }

    fn strings(&self, parent: &Value, name: &str) -> Result<Vec<String>> {
        match parent.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| self.text(name, item)).collect(),
            // A few old tools write a single string.
            Some(Value::String(_)) => Ok(self.string(parent, name)?.into_iter().collect()),
            Some(_) => Err(self.wrong(name, "a list")),
        }
    }

    fn labels(&self, config: &Value) -> Result<Vec<(String, String)>> {
        let mut labels = match config.get("Labels") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Object(members)) => members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| Ok((name.clone(), self.text("Labels", value)?)))
                .collect::<Result<Vec<_>>>()?,
            Some(_) => return Err(self.wrong("Labels", "an object")),
        };
        labels.sort();
        Ok(labels)
    }

    fn history(&self, config: &Value) -> Result<Vec<History>> {
        let items = match config.get("history") {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.wrong("history", "a list")),
        };
        items
            .iter()
            .map(|item| {
                Ok(History {
                    created: self.string(item, "created")?,
                    created_by: self.string(item, "created_by")?,
                    comment: self.string(item, "comment")?,
                    is_empty_layer: item.get("empty_layer").and_then(Value::as_bool) == Some(true),
                })
            })
            .collect()
    }
}
