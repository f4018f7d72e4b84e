//! Authorization: passwords, tokens, files of docker and podman, helpers.

use crate::fake::{Auth, Fake, base64};
use crate::http::{Length, Reply, Then};
use crate::{Local, client, noise, options};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use wasi_overlay_image::Digest;
use wasi_overlay_image::registry::{Client, Credentials, Error, Options};

const HOUR: Duration = Duration::from_secs(3600);

fn with_credentials(text: &str) -> Client {
    let credentials = Some(Credentials::parse(text));
    client(Options {
        credentials,
        ..options()
    })
}

/// A client whose environment has these variables.
fn with_environment(variables: &[(&str, &Path)]) -> Client {
    Client::with_environment(options(), |name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    })
}

/// A registry with `app:1` that asks for a token of `me:secret`.
fn with_tokens(lifetime: Duration) -> (Fake, Vec<u8>) {
    let fake = Fake::with_auth(Auth::Bearer {
        account: Some("me:secret"),
        lifetime,
    });
    let layer = noise(1, 300_000);
    fake.add_image(Some("1"), &[&layer, b"second", b"third"]);
    (fake, layer)
}

#[test]
fn one_token_serves_a_whole_pull() {
    let (fake, layer) = with_tokens(HOUR);
    let local = Local::new();
    local
        .pull(&with_credentials("me:secret"), &fake.reference("1"))
        .unwrap();
    assert!(local.has(&layer));
    let tokens = fake.requests("/token");
    assert_eq!(tokens.len(), 1, "{:?}", fake.lines());
    assert_eq!(tokens[0].parameter("service").as_deref(), Some("fake"));
    assert_eq!(
        tokens[0].parameter("scope").as_deref(),
        Some("repository:app:pull")
    );
}

#[test]
fn token_that_expires_during_a_pull_is_renewed() {
    let (fake, layer) = with_tokens(HOUR);
    // The registry forgets all tokens after the first part of the layer.
    let part = format!("blobs/{}", Digest::of(&layer));
    let cut = Reply::new(200).body(&layer[..100_000]);
    let cut = cut.length(Length::Claimed(300_000)).then(Then::Close);
    let mut requests = 0;
    fake.add_rule(move |request| {
        if !request.line().contains(&part) {
            return None;
        }
        requests += 1;
        match requests {
            1 => Some(cut.clone()),
            2 => Some(
                Reply::new(401).header(
                    "WWW-Authenticate",
                    format!(
                        r#"Bearer realm="http://{}/token",service="fake",scope="repository:app:pull",error="invalid_token""#,
                        request.header("host").unwrap()
                    ),
                ),
            ),
            _ => None,
        }
    });
    let local = Local::new();
    local
        .pull(&with_credentials("me:secret"), &fake.reference("1"))
        .unwrap();
    assert!(local.has(&layer));
    assert_eq!(fake.requests("/token").len(), 2);
    let ranges = fake.requests(&format!("blobs/{}", Digest::of(&layer)));
    let ranges: Vec<_> = ranges.iter().map(|r| r.header("range")).collect();
    assert_eq!(ranges, [None, Some("bytes=100000-"), Some("bytes=100000-")]);
}

#[test]
fn token_has_what_the_registry_asks_for_beyond_the_repository() {
    let (fake, _) = with_tokens(HOUR);
    let mut is_first = true;
    fake.add_rule(move |request| {
        let host = request.header("host")?;
        let challenge = format!(
            r#"Bearer realm="http://{host}/token",service="fake",scope="repository:app:pull other:thing:use""#
        );
        let is_asked = request.method == "HEAD" && std::mem::take(&mut is_first);
        is_asked.then(|| Reply::new(401).header("WWW-Authenticate", challenge))
    });
    Local::new()
        .pull(&with_credentials("me:secret"), &fake.reference("1"))
        .unwrap();
    let query = &fake.requests("/token")[0].query;
    assert!(query.contains("scope=other%3Athing%3Ause"), "{query}");
    // The scope of the repository is not repeated.
    assert_eq!(query.matches("scope=").count(), 2, "{query}");
}

#[test]
fn anonymous_token_is_asked_for_without_credentials() {
    let fake = Fake::with_auth(Auth::Bearer {
        account: None,
        lifetime: HOUR,
    });
    fake.add_image(Some("1"), &[b"layer"]);
    Local::new()
        .pull(&client(options()), &fake.reference("1"))
        .unwrap();
    assert_eq!(fake.requests("/token")[0].header("authorization"), None);
}

#[test]
fn wrong_password_says_where_it_came_from() {
    let (fake, _) = with_tokens(HOUR);
    let error = Local::new()
        .pull(&with_credentials("me:wrong"), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("--creds") && text.contains("wrong password"),
        "{text}"
    );

    let fake = Fake::with_auth(Auth::Basic("me:secret"));
    let error = Local::new()
        .pull(&with_credentials("me:wrong"), &fake.reference("1"))
        .unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(!error.to_string().contains("me:wrong"), "{error}");
}

#[test]
fn missing_credentials_say_how_to_log_in() {
    for auth in [
        Auth::Basic("me:secret"),
        Auth::Bearer {
            account: Some("me:secret"),
            lifetime: HOUR,
        },
    ] {
        let fake = Fake::with_auth(auth);
        let error = Local::new()
            .pull(&client(options()), &fake.reference("1"))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("podman login {}", fake.host())),
            "{text}"
        );
    }
}

#[test]
fn password_is_not_sent_before_the_registry_asks() {
    let fake = Fake::with_auth(Auth::Basic("me:secret"));
    fake.add_image(Some("1"), &[b"layer"]);
    Local::new()
        .pull(&with_credentials("me:secret"), &fake.reference("1"))
        .unwrap();
    let heads = fake.requests("HEAD");
    assert_eq!(heads[0].header("authorization"), None);
    assert!(heads[1].header("authorization").is_some());
    // Later requests have it at once.
    assert_eq!(heads.len(), 2);
    assert!(
        fake.requests("GET /v2/app/")
            .iter()
            .all(|r| r.header("authorization").is_some())
    );
}

#[test]
fn credentials_come_from_files_of_docker_and_podman() {
    let fake = Fake::with_auth(Auth::Basic("me:secret"));
    fake.add_image(Some("1"), &[b"layer"]);
    let folder = tempfile::tempdir().unwrap();
    let right = base64(b"me:secret");
    let wrong = base64(b"me:wrong");
    let host = fake.host();
    for (variable, file, key) in [
        ("DOCKER_CONFIG", "config.json", host.clone()),
        (
            "DOCKER_CONFIG",
            "config.json",
            format!("https://{host}/v1/"),
        ),
        ("XDG_RUNTIME_DIR", "containers/auth.json", host.clone()),
        (
            "XDG_CONFIG_HOME",
            "containers/auth.json",
            format!("{host}/app"),
        ),
        ("HOME", ".docker/config.json", host.clone()),
        ("HOME", ".config/containers/auth.json", host.clone()),
    ] {
        let home = tempfile::tempdir_in(&folder).unwrap();
        let path = home.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut text = format!(r#"{{"auths":{{"{key}":{{"auth":"{right}"}}"#);
        if key.ends_with("/app") {
            // The entry of the repository goes before that of the host.
            text.push_str(&format!(r#","{host}":{{"auth":"{wrong}"}}"#));
        }
        text.push_str("}}");
        fs::write(&path, text).unwrap();
        let client = with_environment(&[(variable, home.path())]);
        let pulled = Local::new().pull(&client, &fake.reference("1"));
        assert!(pulled.is_ok(), "{variable} {key}: {pulled:?}");

        let client = with_environment(&[("REGISTRY_AUTH_FILE", &path)]);
        assert!(Local::new().pull(&client, &fake.reference("1")).is_ok());
        let client = client_with_file(&path);
        assert!(Local::new().pull(&client, &fake.reference("1")).is_ok());
    }
}

fn client_with_file(path: &Path) -> Client {
    client(Options {
        auth_file: Some(path.to_owned()),
        ..options()
    })
}

#[test]
fn refresh_token_of_docker_is_exchanged() {
    let (fake, _) = with_tokens(HOUR);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.json");
    let entry = format!(
        r#"{{"auths":{{"{}":{{"identitytoken":"identity"}}}}}}"#,
        fake.host()
    );
    fs::write(&path, entry).unwrap();
    Local::new()
        .pull(&client_with_file(&path), &fake.reference("1"))
        .unwrap();
    let tokens = fake.requests("/token");
    let form = String::from_utf8(tokens[0].body.clone()).unwrap();
    assert!(form.contains("grant_type=refresh_token"), "{form}");
    assert!(form.contains("scope=repository%3Aapp%3Apull"), "{form}");
}

/// Writes the helper `docker-credential-test`, and a configuration that names it.
fn helper(folder: &Path, setting: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let program = folder.join("docker-credential-test");
    // Another process writes the program. If this one did, a child that another test forks meanwhile would
    // have the file open for writing, and could not be executed.
    let source = folder.join("source");
    fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    let copied = Command::new("cp").args([&source, &program]).status();
    assert!(copied.unwrap().success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(folder.join("config.json"), setting).unwrap();
}

#[test]
fn helper_is_asked_for_the_host() {
    let fake = Fake::with_auth(Auth::Basic("me:secret"));
    fake.add_image(Some("1"), &[b"layer"]);
    let host = fake.host();
    let script = format!(
        r#"read -r server; [ "$1 $server" = "get {host}" ] || exit 1
           echo '{{"ServerURL":"x","Username":"me","Secret":"secret"}}'"#
    );
    for setting in [
        format!(r#"{{"credHelpers":{{"{host}":"test"}}}}"#),
        format!(r#"{{"credsStore":"test","auths":{{"{host}":{{}}}}}}"#),
    ] {
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), &setting, &script);
        let client = with_environment(&[("DOCKER_CONFIG", folder.path()), ("PATH", folder.path())]);
        let pulled = Local::new().pull(&client, &fake.reference("1"));
        assert!(pulled.is_ok(), "{setting}: {pulled:?}");
    }
}

#[test]
fn failing_helper_is_named() {
    let fake = Fake::with_auth(Auth::Basic("me:secret"));
    let setting = r#"{"credsStore":"test"}"#;
    for (script, part) in [
        ("echo locked >&2; exit 1", "locked"),
        ("exit 3", "3"),
        ("echo nonsense", "not JSON"),
        ("yes | head -c 1000000", "y y y"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), setting, script);
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        let client =
            with_environment(&[("DOCKER_CONFIG", folder.path()), ("PATH", Path::new(&path))]);
        let error = Local::new()
            .pull(&client, &fake.reference("1"))
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("docker-credential-test") && text.contains(part) && text.len() < 1000,
            "{script}: {text}"
        );
    }
}

#[test]
fn helper_without_credentials_is_no_error() {
    let fake = Fake::with_auth(Auth::Basic("me:secret"));
    let folder = tempfile::tempdir().unwrap();
    let script = "echo 'credentials not found in native keychain'; exit 1";
    helper(folder.path(), r#"{"credsStore":"test"}"#, script);
    let client = with_environment(&[("DOCKER_CONFIG", folder.path()), ("PATH", folder.path())]);
    let error = Local::new()
        .pull(&client, &fake.reference("1"))
        .unwrap_err();
    assert!(
        error.to_string().contains("found no credentials"),
        "{error}"
    );
}

#[test]
fn helper_is_not_started_for_a_registry_that_does_not_ask() {
    let fake = Fake::start();
    fake.add_image(Some("1"), &[b"layer"]);
    let folder = tempfile::tempdir().unwrap();
    helper(folder.path(), r#"{"credsStore":"test"}"#, "exit 1");
    let client = with_environment(&[("DOCKER_CONFIG", folder.path()), ("PATH", folder.path())]);
    Local::new().pull(&client, &fake.reference("1")).unwrap();
}

#[test]
fn huge_or_broken_token_is_an_error() {
    for (reply, part) in [
        (Reply::new(200).body(vec![b' '; 1 << 20]), "larger than"),
        (Reply::new(200).body("no"), "not JSON"),
        (Reply::new(200).body("{}"), "no `token`"),
        (
            Reply::new(200).body(r#"{"token":"a\nb"}"#),
            "control characters",
        ),
    ] {
        let (fake, _) = with_tokens(HOUR);
        fake.answer("/token", 9, reply);
        let error = Local::new()
            .pull(&with_credentials("me:secret"), &fake.reference("1"))
            .unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}

#[test]
fn unknown_way_of_authorization_is_an_error() {
    let fake = Fake::start();
    let reply = Reply::new(401).header("WWW-Authenticate", "Negotiate");
    fake.answer("HEAD", 9, reply);
    let error = Local::new()
        .pull(&with_credentials("me:secret"), &fake.reference("1"))
        .unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    assert_eq!(fake.requests("HEAD").len(), 1);
}
