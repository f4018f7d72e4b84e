//! Reading JSON documents of images, whose writers omit required lists or set them to null.

use crate::error::{Error, Result};
use serde_json::Value;

/// Parses a document of `what`. Members that are null count as absent, and `lists`, which are paths of
/// members, as empty if they are absent: Go's encoder writes an empty list as null.
///
/// # Errors
/// [`Error::Malformed`].
pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    what: &str,
    bytes: &[u8],
    lists: &[&[&str]],
) -> Result<T> {
    let mut value = value(what, bytes)?;
    remove_nulls(&mut value);
    for path in lists {
        add_list(&mut value, path);
    }
    serde_json::from_value(value).map_err(|error| Error::malformed(what, error))
}

/// Parses a document of `what` that has to be an object.
///
/// # Errors
/// [`Error::Malformed`].
pub(crate) fn value(what: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::malformed(what, format_args!("not valid JSON: {error}")))
}

/// Removes members that are null. The parser bounds the depth.
fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn add_list(value: &mut Value, path: &[&str]) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut value = value;
    for parent in parents {
        match value.get_mut(*parent) {
            Some(member) => value = member,
            None => return,
        }
    }
    if let Value::Object(members) = value {
        members
            .entry((*last).to_owned())
            .or_insert_with(|| Value::Array(Vec::new()));
    }
}
