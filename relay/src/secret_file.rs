//! Writing files that only their owner may read.

use std::io::{self, Write as _};
use std::path::Path;

/// Replaces `path` as a whole: whoever reads it sees the old or the new content, never a half.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&draft, path)
}
