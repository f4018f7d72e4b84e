//! `readlink-at`.

use super::AbsoluteSymlinks;
use super::dir::OverlayDir;
use super::resolve::Last;
use crate::error::{Errno, Error, Result};
use crate::meta::Kind;

impl OverlayDir {
    pub(crate) fn readlink_at(&self, path: &str) -> Result<String> {
        let walked = self.shared.resolve(&self.node, path, Last::Stop)?;
        let link = walked.existing()?;
        let (Some(name), true) = (walked.name(), link.kind() == Kind::Symlink) else {
            return Err(Error::because(
                Errno::Invalid,
                || "the file is not a symbolic link",
            ));
        };
        let target = self.shared.target_of(walked.parent()?, link, name)?;
        let resolved = self.shared.absolute_symlinks == AbsoluteSymlinks::Root;
        if target.first() == Some(&b'/') && !resolved {
            let error = self
                .shared
                .refused_link(walked.parents(), name, &target, true);
            return Err(error);
        }
        String::from_utf8(target).map_err(|_| {
            Error::because(
                Errno::IllegalByteSequence,
                || "the link's target is not UTF-8",
            )
        })
    }
}
