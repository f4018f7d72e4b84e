//! Worklist of path components: those of a path, and of the link targets on top of it.

use std::borrow::Cow;

/// The components that are still to be walked: of the path, and of the link targets on top of it.
pub(super) struct Pending<'a> {
    path: Components<'a>,
    links: Vec<Components<'a>>,
}

/// The remaining components of a path or link target.
struct Components<'a> {
    text: Cow<'a, [u8]>,
    /// Where the next component begins; the text's length if there is none.
    at: usize,
    /// Whether a slash followed the last component that was taken.
    slash: bool,
}

impl<'a> Components<'a> {
    fn new(text: Cow<'a, [u8]>) -> Self {
        let at = slashes(&text);
        Self {
            text,
            at,
            slash: false,
        }
    }

    /// The next component; none at the end.
    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        let rest = &self.text[self.at..];
        if rest.is_empty() {
            return None;
        }
        let length = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        let slashes = slashes(&rest[length..]);
        let taken = self.at..self.at + length;
        self.at = taken.end + slashes;
        self.slash = slashes > 0;
        Some(match &self.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[taken]),
            Cow::Owned(text) => Cow::Owned(text[taken].to_vec()),
        })
    }

    fn is_done(&self) -> bool {
        self.at == self.text.len()
    }
}

/// How many slashes `text` begins with.
fn slashes(text: &[u8]) -> usize {
    text.iter().take_while(|&&b| b == b'/').count()
}

impl<'a> Pending<'a> {
    pub(super) fn new(path: &'a [u8]) -> Self {
        Self {
            path: Components::new(Cow::Borrowed(path)),
            links: Vec::new(),
        }
    }

    /// Puts the target of a symbolic link in front of what is left.
    pub(super) fn push_link(&mut self, target: Vec<u8>) {
        self.links.push(Components::new(Cow::Owned(target)));
    }

    /// The next component; none at the end.
    pub(super) fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        while let Some(link) = self.links.last_mut() {
            match link.next() {
                Some(next) => return Some(next),
                None => self.links.pop(),
            };
        }
        self.path.next()
    }

    /// Whether the component that was last taken is one of a link's target.
    pub(super) fn is_in_link(&self) -> bool {
        !self.links.is_empty()
    }

    /// Whether nothing but slashes is left.
    pub(super) fn is_done(&self) -> bool {
        self.path.is_done() && self.links.iter().all(Components::is_done)
    }

    /// Whether a slash followed the last component that was taken. At the end of the path, whether one
    /// follows it or a link that led to it.
    pub(super) fn has_slash(&self) -> bool {
        self.path.slash || self.links.iter().any(|link| link.slash)
    }
}
