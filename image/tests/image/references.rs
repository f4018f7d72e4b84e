//! What references mean.

use wasi_overlay_image::Reference;

const HEX: &str = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

#[test]
fn reference_displays_in_full() {
    let digest = format!("alpine@sha256:{HEX}");
    let both = format!("ghcr.io/a/b:1@sha256:{HEX}");
    let cases = [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
        ("user/app", "docker.io/user/app:latest"),
        ("localhost/app:1", "localhost/app:1"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("ghcr.io/a/b/c:v1.2-rc_1", "ghcr.io/a/b/c:v1.2-rc_1"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("127.0.0.1:80/app:x", "127.0.0.1:80/app:x"),
        ("MYHOST/app", "MYHOST/app:latest"),
        ("x/a.b__c--d/e_f", "docker.io/x/a.b__c--d/e_f:latest"),
        (&digest, &format!("docker.io/library/{digest}")),
        (&both, &both),
    ];
    for (text, full) in cases {
        let reference: Reference = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(reference.to_string(), full, "{text}");
        assert_eq!(full.parse::<Reference>().unwrap(), reference, "{full}");
        assert_eq!(reference.short().parse::<Reference>().unwrap(), reference);
    }
}

/// The bound is on the full name, in whatever form it is given.
#[test]
fn names_of_each_length_read_back() {
    for length in 1..300 {
        let path = "a".repeat(length);
        for (text, full) in [
            (path.clone(), format!("docker.io/library/{path}")),
            (
                format!("docker.io/{path}"),
                format!("docker.io/library/{path}"),
            ),
            (format!("u/{path}"), format!("docker.io/u/{path}")),
            (
                format!("index.docker.io/u/{path}"),
                format!("docker.io/u/{path}"),
            ),
            (format!("ghcr.io/{path}"), format!("ghcr.io/{path}")),
        ] {
            // 64 letters `a` alone are a digest.
            let is_name = full.len() <= 255 && (text != path || length != 64);
            let reference = text.parse::<Reference>();
            assert_eq!(reference.is_ok(), is_name, "{text}");
            let Ok(reference) = reference else { continue };
            assert_eq!(reference.to_string(), full + ":latest");
            for text in [reference.to_string(), reference.short()] {
                assert_eq!(text.parse::<Reference>().unwrap(), reference);
            }
        }
    }
}

#[test]
fn short_form_omits_only_defaults() {
    for (text, short) in [
        ("docker.io/library/alpine:3", "alpine:3"),
        ("docker.io/user/app:1", "user/app:1"),
        ("ghcr.io/a/b:1", "ghcr.io/a/b:1"),
        ("docker.io/localhost/app:1", "docker.io/localhost/app:1"),
    ] {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.short(), short);
    }
}

#[test]
fn malformed_reference_is_refused_with_a_reason() {
    let long = "a/".repeat(150) + "b";
    let long_tag = format!("a:{}", "x".repeat(129));
    let cases = [
        ("", "it is empty"),
        ("Alpine", "expected `alpine`"),
        ("docker://alpine", "expected `alpine`"),
        ("a//b", "is empty"),
        ("a/", "is empty"),
        ("-a", "not a component"),
        ("a..b", "not a component"),
        ("a___b", "not a component"),
        ("a_-b", "not a component"),
        ("a:", "not a tag"),
        ("a:.x", "not a tag"),
        ("a:x y", "not a tag"),
        ("a@sha256:12", "64 lowercase"),
        ("a@md5:12", "use sha256"),
        ("a@", "expected `sha256:`"),
        ("host:port/a", "not the host"),
        ("host:99999/a", "not the host"),
        ("-h.x/a", "not the host"),
        ("[::z]/a", "not the host"),
        ("../a", "not the host"),
        ("a/../b", "not a component"),
        ("a\0b", "not a component"),
        ("é", "not a component"),
        (HEX, "NAME@sha256"),
        (&long, "longer than"),
        (&long_tag, "not a tag"),
    ];
    for (text, reason) in cases {
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(!error.contains('\0'));
    }
}
