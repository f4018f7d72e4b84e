//! Other tools: what they write is read, and they read the store. Without its tool a test is skipped, except in
//! CI.

use super::support::{Layout, gzip, noise, read, store, tar};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use wasi_overlay_core::Limits;
use wasi_overlay_image::{Choice, Store, Transport};
use wasi_overlay_proof::kit::skip;
use wasi_overlay_proof::machine::{Need, has};

/// Runs a tool; `None` if it is not installed.
fn run(program: &'static str, arguments: &[&str]) -> Option<String> {
    if !has(program, &[Need::Program(program)]) {
        return None;
    }
    let output = Command::new(program).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {stderr}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs buildah or podman with its storage below `dir`.
fn run_in(dir: &Path, program: &'static str, arguments: &[&str]) -> Option<String> {
    let at = |name: &str| dir.join(name).display().to_string();
    let (root, run_root) = (at("root"), at("run"));
    let storage = [
        "--storage-driver",
        "vfs",
        "--root",
        &root,
        "--runroot",
        &run_root,
    ];
    run(program, &[&storage, arguments].concat())
}

fn skopeo(arguments: &[&str]) -> Option<String> {
    let arguments: Vec<_> = ["--insecure-policy"]
        .iter()
        .chain(arguments)
        .copied()
        .collect();
    run("skopeo", &arguments)
}

fn content(text: &str, store: &Store, path: &str) -> Vec<u8> {
    let transport = Transport::parse(text.as_ref()).unwrap();
    let lowers = transport.lowers(Some(store), &Choice::default(), &Limits::default());
    read(
        lowers.unwrap_or_else(|error| panic!("{text}: {error}")),
        path,
    )
}

fn layout() -> Layout {
    let mut layout = Layout::default();
    let tars = [
        tar(&[("f", b"old"), ("n", &noise(100_000))]),
        tar(&[("f", b"new"), ("g", b"g")]),
    ];
    let image = layout.image_of("linux/amd64", &tars, gzip);
    layout.name("v1", &image);
    layout
}

#[test]
fn skopeo_reads_the_store_and_we_read_what_it_writes() {
    let (dir, store) = store();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let mut named = layout();
    named.entries.clear();
    let image = layout().entries[0].clone();
    named.name("docker.io/library/app:1", &image);
    named.add_to(&store).unwrap();
    // Plain tars in the store do not disturb it.
    assert_eq!(content("store:app:1", &store, "f"), b"new");
    let ours = format!("oci:{}:docker.io/library/app:1", store.path().display());
    let Some(inspected) = skopeo(&["inspect", &ours]) else {
        return;
    };
    assert!(inspected.contains("linux"), "{inspected}");
    for destination in [
        format!("oci:{}:v1", at("layout")),
        format!("oci-archive:{}:v1", at("oci.tar")),
        format!("docker-archive:{}:app:1", at("docker.tar")),
    ] {
        skopeo(&["copy", &ours, &destination]).unwrap();
        let (_own_dir, own) = super::support::store();
        assert_eq!(content(&destination, &own, "f"), b"new", "{destination}");
        assert_eq!(
            content(&destination, &own, "n"),
            noise(100_000),
            "{destination}"
        );
    }
    let packed = format!("oci:{}:v1", at("zstd"));
    skopeo(&[
        "copy",
        "--dest-compress-format",
        "zstd",
        "--dest-compress",
        &ours,
        &packed,
    ])
    .unwrap();
    let (_own_dir, own) = super::support::store();
    assert_eq!(content(&packed, &own, "f"), b"new");
    // It writes into the store as well.
    let theirs = format!("oci:{}:docker.io/library/theirs:1", store.path().display());
    skopeo(&["copy", &packed, &theirs]).unwrap();
    assert_eq!(content("store:theirs:1", &store, "g"), b"g");
    assert_eq!(content("store:app:1", &store, "g"), b"g");
    assert!(store.verify(None).unwrap().is_empty());
}

#[test]
fn images_of_umoci_are_read() {
    let dir = TempDir::new().unwrap();
    let layout = dir.path().join("layout").display().to_string();
    let image = format!("{layout}:v1");
    let file = dir.path().join("file");
    fs::write(&file, "inserted").unwrap();
    if run("umoci", &["init", "--layout", &layout]).is_none() {
        return;
    }
    run("umoci", &["new", "--image", &image]).unwrap();
    let from = file.display().to_string();
    run(
        "umoci",
        &["insert", "--rootless", "--image", &image, &from, "/d/f"],
    )
    .unwrap();
    run(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--os",
            "wasip1",
            "--architecture",
            "wasm",
            "--config.entrypoint",
            "/d/f",
            "--config.env",
            "A=b",
        ],
    )
    .unwrap();
    let (_dir, store) = store();
    let text = format!("oci:{image}");
    assert_eq!(content(&text, &store, "d/f"), b"inserted");
    let transport = Transport::parse(text.as_ref()).unwrap();
    let image = transport
        .image(Some(&store), &Choice::default(), &Limits::default())
        .unwrap();
    assert_eq!(image.config().entrypoint, ["/d/f"]);
    assert_eq!(image.platform().unwrap().to_string(), "wasip1/wasm");
}

#[test]
fn umoci_unpacks_an_image_of_the_store() {
    let (dir, store) = store();
    let mut named = Layout::default();
    let mut source = layout();
    std::mem::swap(&mut named.blobs, &mut source.blobs);
    named.name("app", &source.entries[0].clone());
    named.add_to(&store).unwrap();
    let bundle = dir.path().join("bundle").display().to_string();
    // umoci wants a tag, so the store is copied under one.
    let copy = dir.path().join("copy").display().to_string();
    let ours = format!(
        "oci:{}:docker.io/library/app:latest",
        store.path().display()
    );
    if skopeo(&["copy", &ours, &format!("oci:{copy}:v1")]).is_none() {
        return;
    }
    let image = format!("{copy}:v1");
    if run(
        "umoci",
        &["raw", "unpack", "--rootless", "--image", &image, &bundle],
    )
    .is_none()
    {
        return;
    }
    assert_eq!(fs::read(Path::new(&bundle).join("f")).unwrap(), b"new");
}

#[test]
fn images_of_buildah_are_read() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    fs::write(at("file"), "by buildah").unwrap();
    let buildah = |arguments: &[&str]| run_in(dir.path(), "buildah", arguments);
    let Some(container) = buildah(&["from", "scratch"]) else {
        return;
    };
    let container = container.trim();
    buildah(&["copy", container, &at("file"), "/app/f"]).unwrap();
    buildah(&[
        "config", "--os", "wasip1", "--arch", "wasm", "--cmd", "/app/f", container,
    ])
    .unwrap();
    let policy = at("policy.json");
    fs::write(&policy, PERMISSIVE).unwrap();
    let (_dir, store) = store();
    for destination in [
        format!("oci:{}:v1", at("oci")),
        format!("oci-archive:{}", at("oci.tar")),
        format!("docker-archive:{}:app:1", at("docker.tar")),
    ] {
        let policy = ["--signature-policy", &policy];
        let arguments = [&["commit"], &policy[..], &[container, &destination]].concat();
        buildah(&arguments).unwrap();
        assert_eq!(content(&destination, &store, "app/f"), b"by buildah");
    }
}

const PERMISSIVE: &str = r#"{"default":[{"type":"insecureAcceptAnything"}]}"#;

#[test]
fn archives_of_podman_are_read() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let policy = at("policy.json");
    fs::write(&policy, PERMISSIVE).unwrap();
    let input = at("input.tar");
    fs::write(&input, layout().tar()).unwrap();
    let podman = |arguments: &[&str]| run_in(dir.path(), "podman", arguments);
    let Some(loaded) = podman(&["load", "--signature-policy", &policy, "-q", "-i", &input]) else {
        return;
    };
    let image = loaded
        .rsplit_once("image: ")
        .or(loaded.rsplit_once("image(s): "))
        .unwrap()
        .1;
    podman(&["tag", image.trim(), "localhost/app:1"]).unwrap();
    for (format, transport) in [
        ("docker-archive", "docker-archive"),
        ("oci-archive", "oci-archive"),
    ] {
        let file = at(format);
        podman(&[
            "save",
            "-q",
            "--format",
            format,
            "-o",
            &file,
            "localhost/app:1",
        ])
        .unwrap();
        for name in ["", ":localhost/app:1"] {
            let (_dir, store) = store();
            let text = format!("{transport}:{file}{name}");
            assert_eq!(content(&text, &store, "f"), b"new");
            assert_eq!(content(&text, &store, "n"), noise(100_000));
        }
    }
}

/// A containerd with folders of its own, until it is dropped.
struct Containerd {
    process: std::process::Child,
    address: String,
}

impl Containerd {
    fn start(dir: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip("containerd", "only root can start it");
            return None;
        }
        if !has("containerd", &[Need::Program("containerd")]) {
            return None;
        }
        let address = dir.join("socket").display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {address:?}\n",
            dir.join("root"),
            dir.join("state")
        );
        let file = dir.join("config.toml");
        fs::write(&file, config).unwrap();
        let process = Command::new("containerd")
            .arg("--config")
            .arg(file)
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .unwrap();
        let containerd = Self { process, address };
        for _ in 0..500 {
            if Path::new(&containerd.address).exists() {
                return Some(containerd);
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("{}", fs::read_to_string(dir.join("log")).unwrap());
    }

    fn ctr(&self, arguments: &[&str]) {
        let global = ["--address", self.address.as_str(), "--namespace", "test"];
        let arguments: Vec<_> = global.iter().chain(arguments).copied().collect();
        run("ctr", &arguments).unwrap();
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn archives_of_containerd_are_read() {
    let dir = TempDir::new().unwrap();
    let Some(containerd) = Containerd::start(dir.path()) else {
        return;
    };
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (input, output) = (at("input.tar"), at("output.tar"));
    fs::write(&input, layout().tar()).unwrap();
    let name = "docker.io/library/app";
    containerd.ctr(&["images", "import", "--base-name", name, &input]);
    let tagged = format!("{name}:v1");
    containerd.ctr(&["images", "export", &output, &tagged]);
    for text in [
        format!("oci-archive:{output}"),
        format!("oci-archive:{output}:{tagged}"),
        format!("docker-archive:{output}"),
        format!("docker-archive:{output}:app:v1"),
        format!("docker-archive:{output}:@0"),
    ] {
        let (_dir, store) = store();
        assert_eq!(content(&text, &store, "f"), b"new", "{text}");
        assert_eq!(content(&text, &store, "g"), b"g", "{text}");
    }
}
