//! The files on datastores: names, sizes, and contents where they are small or were uploaded.
//!
//! A disk of gigabytes is a size. Of what a client uploads, up to 1 MB a file and 64 MB in all are
//! kept; of a larger file the first 64 KB are, and the rest reads as zeros, the same ones every
//! time. It must not know HTTP. Surprising: a folder need not have an entry of its own, a file below
//! it is enough.

use std::io;
use std::io::Read;
use std::sync::Arc;

use crate::sim::clock::Moment;
use crate::text::sorted::Sorted;

/// Bytes of a file that are all kept, those kept of a larger one, and those kept in all.
pub const KEPT: usize = 1 << 20;
const BEGINNING: usize = 64 << 10;
const KEPT_IN_ALL: usize = 64 << 20;
/// Files and folders.
const MOST: usize = 200_000;
/// The longest path.
const LONGEST: usize = 2048;

/// One file or folder.
#[derive(Clone, Debug)]
pub struct File {
    /// Bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Moment,
    /// A folder has no content.
    pub folder: bool,
    /// The bytes, where they are kept; what is missing at the end is zeros.
    pub content: Option<Arc<Vec<u8>>>,
}

/// Everything on the datastores, by `[datastore1] web01/web01.vmx`; a folder has no slash at its
/// end.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// By path.
    pub all: Sorted<String, File>,
}

impl File {
    /// A file of zeros.
    pub fn blank(size: u64, modified: Moment) -> File {
        File { size, modified, folder: false, content: None }
    }

    /// An empty folder.
    pub fn folder(modified: Moment) -> File {
        File { size: 0, modified, folder: true, content: None }
    }

    /// A small file with all its bytes.
    pub fn text(text: impl Into<Vec<u8>>, modified: Moment) -> File {
        let bytes = text.into();
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        File { size, modified, folder: false, content: Some(Arc::new(bytes)) }
    }

    /// The bytes from `start` on, without the disk's or anybody's lock.
    pub fn read(&self, start: u64, length: u64) -> Part {
        Part { content: self.content.clone(), at: start, left: length }
    }
}

/// A part of a file, to be read.
pub struct Part {
    content: Option<Arc<Vec<u8>>>,
    at: u64,
    left: u64,
}

impl Read for Part {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let out = out.get_mut(..size).unwrap_or_default();
        out.fill(0);
        let from = usize::try_from(self.at).unwrap_or(usize::MAX);
        if let Some(kept) = self.content.as_ref().and_then(|it| it.get(from..)) {
            let both = kept.len().min(size);
            out.iter_mut().zip(kept.iter().take(both)).for_each(|(to, from)| *to = *from);
        }
        let count = u64::try_from(size).unwrap_or(0);
        (self.at, self.left) = (self.at + count, self.left - count);
        Ok(size)
    }
}

/// Datastore and normal form of `[datastore1] web01/web01.vmx`; nothing where it is no such path.
pub fn path(text: &str) -> Option<(&str, String)> {
    let (store, rest) = text.strip_prefix('[')?.split_once(']')?;
    let mut path = format!("[{store}]");
    let mut between = ' ';
    for part in rest.trim_start().split('/').filter(|it| !matches!(*it, "" | ".")) {
        if part == ".." || part.contains(char::is_control) {
            return None;
        }
        path.push(between);
        path.push_str(part);
        between = '/';
    }
    (!store.is_empty() && path.len() <= LONGEST).then_some((store, path))
}

/// True for a whole datastore.
pub fn is_root(path: &str) -> bool {
    path.find(']').is_some_and(|at| at + 1 == path.len())
}

/// The folder that a path stands in; a datastore stands in itself.
pub fn parent(path: &str) -> &str {
    let root = path.find(']').map_or(0, |at| at + 1);
    path.rfind('/').filter(|at| *at > root).and_then(|at| path.get(..at)).unwrap_or(&path[..root])
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    let root = path.find(']').map_or(0, |at| at + 2);
    let inner = path.get(root..).unwrap_or_default();
    inner.rsplit('/').next().unwrap_or_default()
}

/// What the paths of everything in a folder begin with.
pub fn inside(folder: &str) -> String {
    format!("{folder}{}", if is_root(folder) { ' ' } else { '/' })
}

impl Files {
    /// Everything in a folder and below it: the path behind the folder's, and what is there.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = (&str, &File)> {
        let inside = inside(folder);
        let all = self.all.from_key(&*inside);
        all.map_while(move |(path, file)| Some((path.strip_prefix(&*inside)?, file)))
    }

    /// What stands in a folder: the name, and whether it is a folder too.
    pub fn children(&self, folder: &str) -> Sorted<&str, bool> {
        let mut all = Sorted::new();
        for (rest, file) in self.below(folder) {
            let (name, deeper) = rest.split_once('/').map_or((rest, false), |it| (it.0, true));
            *all.get_or(name, bool::default) |= deeper || file.folder;
        }
        all
    }

    /// Whether there is such a folder; a datastore is one.
    pub fn is_folder(&self, path: &str) -> bool {
        match self.all.get(path) {
            Some(file) => file.folder,
            None => is_root(path) || self.below(path).next().is_some(),
        }
    }

    /// Whether there is such a file or folder.
    pub fn exists(&self, path: &str) -> bool {
        self.all.contains_key(path) || self.is_folder(path)
    }

    /// A file; a folder is none.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.all.get(path).filter(|it| !it.folder)
    }

    /// Puts a file or folder there, and the folders that it stands in; false where there is no room
    /// for more entries.
    pub fn put(&mut self, path: &str, mut file: File) -> bool {
        if self.all.len() >= MOST && !self.all.contains_key(path) {
            return false;
        }
        if let Some(content) = &mut file.content {
            let room = KEPT_IN_ALL.saturating_sub(self.kept());
            let whole = content.len() <= KEPT.min(room);
            let most = if whole { content.len() } else { BEGINNING.min(room) };
            if most < content.len() {
                Arc::make_mut(content).truncate(most);
            }
        }
        let modified = file.modified;
        self.all.insert(path.to_owned(), file);
        let mut upto = parent(path);
        while !is_root(upto) && !self.all.contains_key(upto) {
            self.all.insert(upto.to_owned(), File::folder(modified));
            upto = parent(upto);
        }
        true
    }

    /// Bytes of contents.
    fn kept(&self) -> usize {
        let contents = self.all.values().filter_map(|it| it.content.as_ref());
        contents.map(|it| it.len()).sum()
    }

    /// A file, or a folder and everything in it: what stands behind the path, and what is there.
    pub fn tree(&self, path: &str) -> Vec<(String, File)> {
        let between = if is_root(path) { " " } else { "/" };
        let own = self.all.get(path).map(|it| (String::new(), it.clone()));
        let below = self.below(path).map(|(rest, it)| (format!("{between}{rest}"), it.clone()));
        own.into_iter().chain(below).collect()
    }

    /// Takes a file away, or a folder with everything in it. The folder that it stood in stays.
    pub fn remove(&mut self, path: &str) {
        let above = parent(path).to_owned();
        let kept = !is_root(&above) && !self.all.contains_key(&above);
        let below = inside(path);
        let mut modified = None;
        self.all.retain(|it, file| {
            let gone = it == path || it.starts_with(&below);
            if gone {
                modified.get_or_insert(file.modified);
            }
            !gone
        });
        if let Some(modified) = modified.filter(|_| kept) {
            self.all.insert(above, File::folder(modified));
        }
    }

    /// Bytes of a file, or of everything in a folder.
    pub fn size(&self, path: &str) -> u64 {
        let own = self.all.get(path).map_or(0, |it| it.size);
        self.below(path).map(|(_, it)| it.size).fold(own, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        for (text, normal) in [
            ("[ds] a/b", Some("[ds] a/b")),
            ("[ds]a//b/", Some("[ds] a/b")),
            ("[ds] /a/./b c", Some("[ds] a/b c")),
            ("[ds]", Some("[ds]")),
            ("[ds] ", Some("[ds]")),
            ("[ds] a/../b", None),
            ("[] a", None),
            ("ds a", None),
            ("[ds a", None),
            ("[ds] a\0", None),
        ] {
            assert_eq!(path(text).map(|it| it.1).as_deref(), normal, "{text}");
        }
        assert_eq!((parent("[ds] a/b"), name("[ds] a/b")), ("[ds] a", "b"));
        assert_eq!((parent("[ds] a"), name("[ds] a")), ("[ds]", "a"));
        assert_eq!((parent("[ds]"), name("[ds]"), is_root("[ds]")), ("[ds]", "", true));
    }

    #[test]
    fn folders_come_with_their_files() {
        let mut files = Files::default();
        assert!(files.put("[ds] a/b/c.txt", File::text("hello", 1)));
        assert!(files.put("[ds] ab", File::blank(7, 1)));
        assert!(files.is_folder("[ds] a/b") && files.is_folder("[ds]") && !files.exists("[ds] b"));
        assert_eq!((files.size("[ds] a"), files.size("[ds]")), (5, 12));
        let names: Vec<&str> = files.below("[ds] a").map(|it| it.0).collect();
        assert_eq!(names, ["b", "b/c.txt"]);
        files.remove("[ds] a/b");
        assert!(files.is_folder("[ds] a") && !files.exists("[ds] a/b") && files.exists("[ds] ab"));
        // A folder that nobody entered stays all the same.
        files.all.insert("[ds] x/y".into(), File::blank(1, 1));
        files.remove("[ds] x/y");
        assert!(files.is_folder("[ds] x"));
    }

    #[test]
    fn what_is_not_kept_reads_as_zeros() {
        let mut files = Files::default();
        let mut big = File::text(vec![1; KEPT + 1], 1);
        big.size = 10 << 20;
        files.put("[ds] big", big);
        let file = files.file("[ds] big").unwrap();
        let mut bytes = Vec::new();
        file.read(BEGINNING as u64 - 2, 4).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 1, 0, 0]);
        for at in 0..100 {
            files.put(&format!("[ds] f{at}"), File::text(vec![1; KEPT], 1));
        }
        assert!(files.kept() <= KEPT_IN_ALL);
        assert_eq!(files.file("[ds] f99").unwrap().size, KEPT as u64);
    }
}
