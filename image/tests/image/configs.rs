//! What configs say about programs, and Wasm artifacts of several tools.

use super::support::{Layout, MANIFEST, Value, json, store, tar};
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Config, Error, Image, Overrides, Selector, Transport};

fn parse(config: &Value) -> Config {
    Config::parse("x", config.to_string().as_bytes()).unwrap()
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn pairs(items: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |&(a, b): &(&str, &str)| (a.to_owned(), b.to_owned());
    items.iter().map(owned).collect()
}

#[test]
fn command_follows_the_rules_of_docker() {
    let config = parse(&json!({"config": {
        "Entrypoint": ["/app.wasm", "-v"], "Cmd": ["serve", "x"],
        "Env": ["A=1", "PATH=/bin", "EMPTY=", "NONE", "=odd", "EQ=a=b"], "WorkingDir": "/srv",
    }}));
    let image = config.command(&Overrides::default()).unwrap();
    assert_eq!(image.argv, list(&["/app.wasm", "-v", "serve", "x"]));
    assert_eq!(image.working_dir.as_deref(), Some("/srv"));
    let env = [
        ("A", "1"),
        ("PATH", "/bin"),
        ("EMPTY", ""),
        ("NONE", ""),
        ("EQ", "a=b"),
    ];
    assert_eq!(image.env, pairs(&env));

    let arguments = Overrides {
        args: list(&["run"]),
        env: pairs(&[("A", "2"), ("NEW", "n")]),
        working_dir: Some("data".to_owned()),
        ..Overrides::default()
    };
    let command = config.command(&arguments).unwrap();
    assert_eq!(command.argv, list(&["/app.wasm", "-v", "run"]));
    assert_eq!(command.working_dir.as_deref(), Some("/data"));
    assert_eq!(command.env[0], ("A".to_owned(), "2".to_owned()));
    assert_eq!(command.env.len(), 6);

    // Another entrypoint drops the image's arguments.
    let entrypoint = Overrides {
        entrypoint: Some(list(&["/other.wasm"])),
        ..Overrides::default()
    };
    assert_eq!(
        config.command(&entrypoint).unwrap().argv,
        list(&["/other.wasm"])
    );
    let both = Overrides {
        args: list(&["a"]),
        ..entrypoint
    };
    assert_eq!(
        config.command(&both).unwrap().argv,
        list(&["/other.wasm", "a"])
    );
    assert!(
        parse(&json!({}))
            .command(&Overrides::default())
            .unwrap()
            .argv
            .is_empty()
    );
}

#[test]
fn entrypoint_may_name_a_function() {
    for (entrypoint, program, function) in [
        ("/app.wasm#handle", "/app.wasm", Some("handle")),
        ("/a#b/app.wasm", "/a#b/app.wasm", None),
        ("/a#b/app.wasm#f", "/a#b/app.wasm", Some("f")),
        ("/app.wasm#", "/app.wasm#", None),
        ("#f", "", Some("f")),
    ] {
        let config = parse(&json!({"config": {"Entrypoint": [entrypoint]}}));
        let command = config.command(&Overrides::default()).unwrap();
        assert_eq!(command.argv, list(&[program]), "{entrypoint}");
        assert_eq!(command.function.as_deref(), function, "{entrypoint}");
    }
}

#[test]
fn config_is_read_leniently() {
    let config = parse(&json!({
        "os": "linux", "architecture": "arm", "variant": "v7", "created": "2024-01-01T00:00:00Z",
        "config": {"Entrypoint": null, "Cmd": "single", "Env": null, "WorkingDir": "", "User": "app",
            "Labels": {"b": "2", "a": "1", "n": null}, "ExposedPorts": {"80/tcp": {}}, "Volumes": null},
        "rootfs": null,
        "history": [{"created_by": "RUN x", "empty_layer": true, "comment": null}, {}],
        "unknown": [1, 2],
    }));
    assert_eq!(
        config.platform.as_ref().unwrap().to_string(),
        "linux/arm/v7"
    );
    assert_eq!(config.cmd, list(&["single"]));
    assert_eq!(config.labels, pairs(&[("a", "1"), ("b", "2")]));
    assert_eq!(
        (config.working_dir.as_deref(), config.user.as_deref()),
        (None, Some("app"))
    );
    assert_eq!(config.history.len(), 2);
    assert!(config.history[0].is_empty_layer && !config.history[1].is_empty_layer);
    assert_eq!(
        parse(&json!({"os": "", "architecture": "wasm"})).platform,
        None
    );
}

#[test]
fn config_with_members_of_other_types_is_refused() {
    for config in [
        json!([]),
        json!({"config": {"Env": [1]}}),
        json!({"config": {"Cmd": {}}}),
        json!({"config": {"Entrypoint": ["a\u{0}b"]}}),
        json!({"config": {"WorkingDir": 1}}),
        json!({"config": {"Labels": []}}),
        json!({"rootfs": {"diff_ids": ["sha256:1"]}}),
        json!({"rootfs": {"diff_ids": ["../../x"]}}),
        json!({"history": {}}),
    ] {
        let error = Config::parse("the config", config.to_string().as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("the"), "{config}: {error}");
    }
}

/// Opens an artifact with this config and these layers of the media types.
fn artifact(config_type: &str, config: &Value, layers: &[(&str, &[u8])]) -> Result<Image, Error> {
    let mut layout = Layout::default();
    let config = layout.document(config_type, config);
    let layers: Vec<_> = layers
        .iter()
        .map(|(media_type, bytes)| layout.blob(media_type, bytes))
        .collect();
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
    let manifest = layout.document(MANIFEST, &manifest);
    layout.name("v1", &manifest);
    let (dir, store) = store();
    let path = dir.path().join("layout");
    layout.write(&path);
    let transport = Transport::OciLayout {
        path,
        image: Selector::Only,
    };
    let image = transport.image(Some(&store), &Choice::default(), &Limits::default())?;
    if image.is_artifact() {
        assert_eq!(image.read_module(100)?.unwrap(), b"\0asm");
        let error = image.read_module(3).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    }
    image.lowers(&Limits::default())?;
    Ok(image)
}

const WASM: (&str, &[u8]) = ("application/wasm", b"\0asm");

#[test]
fn artifacts_of_all_tools_have_a_module() {
    let cncf = json!({"created": "2024-01-01T00:00:00Z", "architecture": "wasm", "os": "wasip2",
        "layerDigests": [], "component": {"exports": [], "imports": [], "target": null}});
    let image = artifact("application/vnd.wasm.config.v0+json", &cncf, &[WASM]).unwrap();
    assert_eq!(image.platform().unwrap().to_string(), "wasip2/wasm");
    assert!(image.layers().is_empty());
    // wasm-to-oci.
    let old = ("application/vnd.wasm.content.layer.v1+wasm", &b"\0asm"[..]);
    artifact("application/vnd.wasm.config.v1+json", &json!({}), &[old]).unwrap();
    // runwasi, whose diff IDs count the module.
    let bytecode_alliance = (
        "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
        &b"\0asm"[..],
    );
    let config = json!({"os": "wasip1", "architecture": "wasm", "rootfs": {"diff_ids": [
        wasi_overlay_image::Digest::of(b"\0asm").to_string()]}});
    let image = artifact(super::support::CONFIG, &config, &[bytecode_alliance]).unwrap();
    assert_eq!(image.module().unwrap().unwrap().size, 4);
    // A module and a layer with its data.
    let data = tar(&[("f", b"x")]);
    let layer = (super::support::LAYER_GZIP, data.as_slice());
    let image = artifact("application/vnd.wasm.config.v0+json", &cncf, &[WASM, layer]).unwrap();
    assert_eq!(image.layers().len(), 1);
    // The empty config of an artifact.
    artifact("application/vnd.oci.empty.v1+json", &json!({}), &[WASM]).unwrap();
}

#[test]
fn artifact_without_one_module_is_refused() {
    let cncf = json!({"architecture": "wasm", "os": "wasip2"});
    let other = ("application/wasm", &b"\0asm2"[..]);
    let error = artifact("application/vnd.wasm.config.v0+json", &cncf, &[WASM, other]).unwrap_err();
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    let error = artifact("application/vnd.cncf.helm.config.v1+json", &json!({}), &[]).unwrap_err();
    assert!(error.to_string().contains("helm"), "{error}");
}
