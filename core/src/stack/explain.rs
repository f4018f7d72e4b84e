//! Reasons why a name is not in the merged lower tree, for a log, by a lookup in each single layer.

use super::LowerStack;
use super::node::LowerNode;
use crate::error::{Errno, Result};
use crate::layer::Found;
use crate::layer::erased::AnyLayer;
use crate::log::Escaped;
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use std::sync::Arc;

/// A whiteout, opaque directory or other file that hides a name, and its layer.
pub(crate) struct Hider {
    pub(crate) what: String,
    pub(crate) layer: String,
}

/// What a single layer has at a path.
enum Answer {
    /// Nothing.
    Absent,
    /// Something that hides the path in all layers below. The text names it.
    Hides(String),
    /// A file.
    Has,
}

impl LowerNode {
    /// The name of this file in its parent. None for the root.
    pub(crate) fn own_name(&self) -> Option<NameBuf> {
        let parent = self.parent().ok()??;
        let name = parent.name_of(self).ok()?;
        Some(name.to_owned())
    }

    /// The label of the topmost layer that has the file.
    pub(crate) fn label<'a>(&self, stack: &'a LowerStack) -> &'a str {
        stack.layer(self.layer()).label()
    }

    /// What hides `name` in this directory, and the label of the topmost layer below that has it.
    ///
    /// # Errors
    /// Any error returned by a layer.
    pub(crate) fn why_absent(
        self: &Arc<Self>,
        stack: &LowerStack,
        name: Name<'_>,
    ) -> Result<(Option<Hider>, Option<String>)> {
        let mut names = vec![name.to_owned()];
        let mut dir = Arc::clone(self);
        while let Some(parent) = dir.parent()? {
            names.push(parent.name_of(&dir)?.to_owned());
            dir = parent;
        }
        names.reverse();
        let mut hider = None;
        for layer in stack.layers.iter().rev() {
            match look_up(&**layer, &names)? {
                Answer::Absent => {}
                Answer::Has => return Ok((hider, Some(layer.label().to_owned()))),
                Answer::Hides(what) => {
                    // Only the topmost one counts.
                    hider.get_or_insert_with(|| Hider {
                        what,
                        layer: layer.label().to_owned(),
                    });
                }
            }
        }
        Ok((hider, None))
    }
}

/// Walks down `names` in one layer.
fn look_up(layer: &dyn AnyLayer, names: &[NameBuf]) -> Result<Answer> {
    let mut dir = layer.root()?;
    let mut path = Vec::new();
    let is_opaque = layer.is_opaque(&dir)?;
    let mut opaque = is_opaque.then(|| String::from("the opaque root of a layer"));
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_name().as_bytes());
        let is_last = index + 1 == names.len();
        let shown = Escaped::new(&path);
        match layer.find(&dir, name.as_name())? {
            Found::Absent => break,
            Found::Hidden => return Ok(Answer::Hides(format!("the whiteout of `{shown}`"))),
            Found::Here { .. } if is_last => return Ok(Answer::Has),
            Found::Here { meta, .. } if meta.kind != Kind::Dir => {
                return Ok(Answer::Hides(format!(
                    "`{shown}`, which is not a directory"
                )));
            }
            Found::Here { opaque: hides, .. } => {
                if hides {
                    opaque = Some(format!("the opaque directory `{shown}`"));
                }
                dir = match layer.open_dir(&dir, name.as_name()) {
                    // A filesystem that is mounted there is not part of the layer.
                    Err(error) if error.errno() == Errno::NotPermitted => break,
                    opened => opened?,
                };
            }
        }
    }
    Ok(opaque.map_or(Answer::Absent, Answer::Hides))
}
