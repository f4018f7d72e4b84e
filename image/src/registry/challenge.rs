//! Challenges of a registry (`WWW-Authenticate`, RFC 9110 section 11.6.1).

/// How a registry wants requests to be authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token of another server.
    Bearer {
        /// URL of the token server.
        realm: String,
        /// Name of the registry at the token server.
        service: Option<String>,
        /// What the request needs, separated by spaces.
        scope: Option<String>,
    },
}

/// The best challenge among the values of all headers: a token before a password.
pub(super) fn parse(headers: &[String]) -> Option<Challenge> {
    let mut basic = None;
    for (scheme, parameters) in headers.iter().flat_map(|header| split(header)) {
        let parameter = |wanted: &str| {
            parameters
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = parameter("realm")
        {
            return Some(Challenge::Bearer {
                realm,
                service: parameter("service"),
                scope: parameter("scope"),
            });
        }
        if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// The schemes of one header with their parameters. A scheme is a word that no `=` follows.
fn split(header: &str) -> Vec<(String, Parameters)> {
    let mut challenges: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let after = after.trim_start_matches([' ', '\t']);
        if let Some(value) = after.strip_prefix('=') {
            let (value, left) = take_value(value.trim_start_matches([' ', '\t', '=']));
            if let Some((_, parameters)) = challenges.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = left;
        } else {
            if !word.is_empty() {
                challenges.push((word.to_owned(), Vec::new()));
            }
            rest = after;
        }
        rest = rest.trim_start_matches([' ', '\t', ',']);
    }
    challenges
}

/// A token or a quoted string, and what follows it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_one(header: &str) -> Option<Challenge> {
        parse(&[header.to_owned()])
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn bearer_challenge_keeps_commas_inside_quotes() {
        assert_eq!(
            parse_one(
                r#"Bearer realm="https://a.example/token",service="r",scope="repository:x:pull,push""#
            ),
            bearer(
                "https://a.example/token",
                Some("r"),
                Some("repository:x:pull,push")
            )
        );
        assert_eq!(
            parse_one(r#"bearer Realm = "a\"b" , service=r"#),
            bearer("a\"b", Some("r"), None)
        );
    }

    #[test]
    fn bearer_wins_over_basic_in_any_order() {
        for headers in [
            vec![r#"Basic realm="x", Bearer realm="t""#.to_owned()],
            vec![r#"Bearer realm="t", Basic realm="x""#.to_owned()],
            vec!["Basic".to_owned(), r#"Bearer realm="t""#.to_owned()],
        ] {
            assert_eq!(parse(&headers), bearer("t", None, None), "{headers:?}");
        }
        assert_eq!(parse_one("Basic realm=\"x\""), Some(Challenge::Basic));
    }

    #[test]
    fn any_header_is_parsed_without_a_panic() {
        const PARTS: [&str; 8] = ["Bearer", "realm", "=", "\"", "\\", ",", " ", "é"];
        // All headers of six parts.
        for number in 0..8_usize.pow(6) {
            let parts = (0..6).map(|place| PARTS[number >> (3 * place) & 7]);
            parse_one(&parts.collect::<String>());
        }
    }

    #[test]
    fn unknown_and_broken_challenges_are_none() {
        for header in [
            "",
            "Negotiate",
            "Bearer",
            "Bearer service=x",
            ",,,",
            "=",
            "\"",
            "Digest realm=\"x",
        ] {
            assert_eq!(parse_one(header), None, "{header}");
        }
    }
}
