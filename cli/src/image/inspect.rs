//! The commands `inspect` and `history`.

use super::args::FormatArg;
use super::{HistoryArgs, Images, InspectArgs, PullArg, RegistryArgs, image_name, platform};
use crate::output::write_stdout;
use crate::table;
use anyhow::Result;
use serde_json::{Value, json};
use std::ffi::OsStr;
use wasi_overlay_image::{Bytes, Image, Platform, Purpose};

/// Prints what an image says of itself, as JSON.
pub(crate) fn inspect(args: &InspectArgs) -> Result<()> {
    let platform = platform(args.platform.as_deref())?;
    let image = open(&args.image, platform)?;
    let config = image.config();
    let layers: Vec<_> = image
        .layers()
        .iter()
        .map(|layer| {
            json!({
                "digest": layer.digest.map(|digest| digest.to_string()),
                "diffId": layer.diff_id.map(|digest| digest.to_string()),
                "mediaType": layer.media_type,
                "size": layer.size,
            })
        })
        .collect();
    let module = match image.module()? {
        Some(module) => json!({
            "digest": module.digest.map(|digest| digest.to_string()),
            "mediaType": module.media_type,
            "size": module.size,
            "title": module.title,
        }),
        None => Value::Null,
    };
    let env: Vec<_> = config
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let labels: serde_json::Map<_, _> = config
        .labels
        .iter()
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let described = json!({
        "name": image.name(),
        "digest": image.digest().map(|digest| digest.to_string()),
        "config": image.config_digest().to_string(),
        "platform": image.platform().map(ToString::to_string),
        "created": config.created,
        "size": image.size(),
        "entrypoint": config.entrypoint,
        "cmd": config.cmd,
        "env": env,
        "workingDir": config.working_dir,
        "user": config.user,
        "labels": labels,
        "layers": layers,
        "module": module,
    });
    write_stdout(&format!("{}\n", serde_json::to_string_pretty(&described)?))
}

/// Prints the steps of the build of an image, the latest first.
pub(crate) fn history(args: &HistoryArgs) -> Result<()> {
    let image = open(&args.image, None)?;
    let mut lines = image.history();
    lines.reverse();
    if args.format == FormatArg::Json {
        let all: Vec<_> = lines
            .iter()
            .map(|line| {
                let layer = line.layer;
                json!({
                    "created": line.step.created,
                    "createdBy": line.step.created_by,
                    "comment": line.step.comment,
                    "layer": layer.and_then(|layer| layer.digest).map(|digest| digest.to_string()),
                    "size": layer.map(|layer| layer.size),
                })
            })
            .collect();
        return write_stdout(&format!("{}\n", serde_json::to_string_pretty(&all)?));
    }
    let mut rows = vec![["CREATED", "SIZE", "CREATED BY"].map(str::to_owned)];
    for line in lines {
        let step = line.step;
        rows.push([
            step.created.clone().unwrap_or_else(|| "-".to_owned()),
            line.layer
                .map_or_else(|| "-".to_owned(), |layer| Bytes(layer.size).to_string()),
            // One line for each step, whatever the command contains.
            step.created_by
                .as_deref()
                .or(step.comment.as_deref())
                .unwrap_or("-")
                .escape_debug()
                .to_string(),
        ]);
    }
    write_stdout(&table::text(&rows))
}

fn open(text: &OsStr, platform: Option<Platform>) -> Result<Image> {
    let mut images = Images::new(&RegistryArgs::default(), PullArg::Missing, false);
    images.platform = platform;
    images.open(&image_name(text)?, Purpose::Data)
}
