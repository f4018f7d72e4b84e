//! A token server for docker-registry, for tests and the documentation. `scripts/registry.sh` starts it.
//!
//! It follows the token specification of the distribution project: `GET` or `POST` with `service` and
//! `scope`, answered with a JSON Web Token. Anybody may pull; the one user may also push. It depends on the
//! standard library alone, so that `rustc` builds it in a moment, and leaves signatures to `openssl`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: token-server KEY.pem CERTIFICATE.pem USER:PASSWORD SECONDS\n\nPrints its address. Tokens are valid for SECONDS.";

/// Name of the registry in tokens, as in its configuration.
const SERVICE: &str = "registry";
/// Name of this server in tokens, as in the configuration of the registry.
const ISSUER: &str = "token-server";
/// A refresh token that stands for the user.
const IDENTITY: &str = "identity-token";

struct Server {
    key: String,
    /// The certificate, DER in base64.
    certificate: String,
    account: String,
    lifetime: u64,
}

fn main() -> io::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [key, certificate, account, lifetime] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    let server = Server {
        key: key.clone(),
        certificate: pem_body(&std::fs::read_to_string(certificate)?),
        account: account.clone(),
        lifetime: lifetime.parse().map_err(io::Error::other)?,
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    for stream in listener.incoming() {
        // A client that goes away does not end the server.
        if let Err(error) = stream.and_then(|stream| server.serve(&stream)) {
            eprintln!("token-server: {error}");
        }
    }
    Ok(())
}

impl Server {
    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream).take(1 << 20);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let (mut authorization, mut length) = (String::new(), 0);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("authorization") => {
                    authorization = value.to_owned();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut form = String::new();
        reader.take(length).read_to_string(&mut form)?;
        let target = line.split(' ').nth(1).unwrap_or_default();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let parameters = parse(&format!("{query}&{form}"));
        let (status, body) = match self.user(&authorization, &parameters) {
            Ok(user) => (200, self.answer(user, &parameters)?),
            Err(()) => (
                401,
                r#"{"details":"incorrect username or password"}"#.to_owned(),
            ),
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
    }

    /// The user that a request proves to come from. Empty for anybody.
    fn user(&self, authorization: &str, parameters: &[(String, String)]) -> Result<&str, ()> {
        let refresh = parameters.iter().find(|(name, _)| name == "refresh_token");
        let right = match (authorization.strip_prefix("Basic "), refresh) {
            (None, None) => return Ok(""),
            (Some(given), _) => given == base64(self.account.as_bytes(), STANDARD),
            (None, Some((_, token))) => token == IDENTITY,
        };
        if right {
            Ok(self.account.split(':').next().unwrap_or_default())
        } else {
            Err(())
        }
    }

    fn answer(&self, user: &str, parameters: &[(String, String)]) -> io::Result<String> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let scopes = parameters.iter().filter(|(name, _)| name == "scope");
        let access: Vec<_> = scopes
            .flat_map(|(_, scopes)| scopes.split(' '))
            .filter_map(|scope| self.access(user, scope))
            .collect();
        let header = format!(
            r#"{{"typ":"JWT","alg":"RS256","x5c":["{}"]}}"#,
            self.certificate
        );
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"{user}","aud":"{SERVICE}","exp":{},"nbf":{},"iat":{now},"jti":"{now}","access":[{}]}}"#,
            now + self.lifetime,
            now - 10,
            access.join(",")
        );
        let payload = format!(
            "{}.{}",
            base64(header.as_bytes(), URL),
            base64(claims.as_bytes(), URL)
        );
        let signature = base64(&self.sign(payload.as_bytes())?, URL);
        Ok(format!(
            r#"{{"token":"{payload}.{signature}","access_token":"{payload}.{signature}","expires_in":{}}}"#,
            self.lifetime
        ))
    }

    /// What a user may do of `repository:NAME:ACTIONS`.
    fn access(&self, user: &str, scope: &str) -> Option<String> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        let allowed = |action: &&str| *action == "pull" || !user.is_empty();
        let plain = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/._-*".contains(&b))
        };
        let actions: Vec<_> = actions.split(',').filter(allowed).collect();
        if kind != "repository" || !plain(name) || !actions.iter().all(|action| plain(action)) {
            return None;
        }
        Some(format!(
            r#"{{"type":"{kind}","name":"{name}","actions":["{}"]}}"#,
            actions.join(r#"",""#)
        ))
    }

    fn sign(&self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign", &self.key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = openssl.stdin.take() {
            input.write_all(bytes)?;
        }
        let output = openssl.wait_with_output()?;
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(io::Error::other("openssl cannot sign"))
        }
    }
}

/// The base64 between the lines `-----BEGIN …` and `-----END …`.
fn pem_body(pem: &str) -> String {
    pem.lines()
        .filter(|line| !line.starts_with("-----"))
        .collect()
}

/// The parameters of a query or a form.
fn parse(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let hex = str::from_utf8(&hex).unwrap_or("00");
                u8::from_str_radix(hex, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last two digits of base64, and whether it is padded.
type Alphabet = (&'static [u8; 2], bool);
const STANDARD: Alphabet = (b"+/", true);
const URL: Alphabet = (b"-_", false);

fn base64(bytes: &[u8], (last, padded): Alphabet) -> String {
    const DIGITS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let digit = |value: u32| {
        let value = (value & 63) as usize;
        char::from(if value < 62 {
            DIGITS[value]
        } else {
            last[value - 62]
        })
    };
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digits in 0..4 {
            if digits <= chunk.len() {
                text.push(digit(bits >> (18 - 6 * digits)));
            } else if padded {
                text.push('=');
            }
        }
    }
    text
}
