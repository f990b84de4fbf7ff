//! `[datastore] folder/file`: taken apart and put together, here and nowhere else.
//!
//! People write paths in many ways (`iso`, `/iso/`, `[datastore1] iso`); inside there is one form,
//! without slashes at the ends. Surprising: a name may begin with `[`, which then needs a slash
//! before it.

use crate::error::{Error, Kind, Result, quoted};

/// Longer paths are on no datastore.
const LONGEST: usize = 2048;

/// A path that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePath {
    /// The datastore, where the path names one.
    pub store: Option<String>,
    /// Empty for the datastore itself.
    pub path: String,
    /// A slash at its end says that it is a folder.
    pub folder: bool,
}

impl StorePath {
    /// Reads what a person or a server wrote.
    pub fn read(text: &str) -> Result<StorePath> {
        let (store, rest) = match text.strip_prefix('[') {
            None => (None, text),
            Some(rest) => match rest.split_once(']') {
                Some((store, rest)) if !store.is_empty() => {
                    (Some(store.to_owned()), rest.strip_prefix(' ').unwrap_or(rest))
                }
                _ => return Err(no_path(text)),
            },
        };
        if rest.len() > LONGEST || rest.contains(char::is_control) {
            return Err(no_path(text));
        }
        let parts: Vec<&str> = rest.split('/').filter(|it| !matches!(*it, "" | ".")).collect();
        if parts.contains(&"..") {
            return Err(Error::usage(format!("`{}` leaves its folder", quoted(text)))
                .hint("Say the path from the datastore's root, without `..`"));
        }
        Ok(StorePath { store, path: parts.join("/"), folder: rest.ends_with('/') })
    }

    /// The name of the datastore: the one in the path, or the one beside it. Two that differ are
    /// refused.
    pub fn on<'a>(&'a self, beside: Option<&'a str>) -> Result<&'a str> {
        let beside = beside.map(bare);
        match (self.store.as_deref(), beside) {
            (Some(own), Some(other)) if own != other => Err(Error::usage(format!(
                "the path is on `{}`, and the datastore is said to be `{}`",
                quoted(own),
                quoted(other)
            ))
            .hint("Leave one of them out; a name that begins with `[` wants a `/` before it")),
            (Some(own), _) => Ok(own),
            (None, Some(other)) => Ok(other),
            (None, None) => {
                Err(Error::usage("no datastore is named")
                    .hint("Such as [datastore1] iso/install.iso"))
            }
        }
    }
}

fn no_path(text: &str) -> Error {
    Error::new(Kind::Usage, format!("`{}` is no path on a datastore", quoted(text)))
        .hint("Such as iso/install.iso or [datastore1] iso/install.iso")
}

/// A datastore's name without the brackets that some write around it.
pub fn bare(store: &str) -> &str {
    store.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(store)
}

/// The path as servers write it.
pub fn full(store: &str, path: &str) -> String {
    if path.is_empty() { format!("[{store}]") } else { format!("[{store}] {path}") }
}

/// Folder and name; the folder is empty at the root.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// A name in a folder.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The path of another file in the folder of this one; the datastore is named as there.
pub fn beside(path: &str, name: &str) -> Result<String> {
    let own = StorePath::read(path)?;
    let path = join(split(&own.path).0, name);
    Ok(own.store.map_or(path.clone(), |store| full(&store, &path)))
}

/// True for the folder itself and for what is below it.
pub fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

/// Ends of files that hold the data of a disk and are none by themselves.
const EXTENTS: &[&str] =
    &["-flat.vmdk", "-delta.vmdk", "-sesparse.vmdk", "-rdm.vmdk", "-rdmp.vmdk", "-ctk.vmdk"];

/// The disk that a file holds the data of, if it is such a file.
pub fn disk_of_extent(path: &str) -> Option<String> {
    let stem = EXTENTS.iter().find_map(|it| path.strip_suffix(it))?;
    (!split(stem).1.is_empty()).then(|| format!("{stem}.vmdk"))
}

/// True for the file that stands for a whole disk.
pub fn is_disk(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".vmdk") && disk_of_extent(path).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_a_file() {
        let beside = |path| beside(path, "d.vmdk").unwrap();
        assert_eq!(beside("[my store] a.ovf"), "[my store] d.vmdk");
        assert_eq!(beside("[s] a b/c/a.ovf"), "[s] a b/c/d.vmdk");
        assert_eq!(beside("a.ovf"), "d.vmdk");
        assert_eq!(beside("/x/a.ovf"), "x/d.vmdk");
    }

    #[test]
    fn every_way_of_writing_it_is_one_path() {
        for (text, store, path, folder) in [
            ("iso", None, "iso", false),
            ("/iso/", None, "iso", true),
            ("[datastore1] iso", Some("datastore1"), "iso", false),
            ("[datastore1]iso//a b.iso", Some("datastore1"), "iso/a b.iso", false),
            ("[my ds] /x/./y/", Some("my ds"), "x/y", true),
            ("[ds]", Some("ds"), "", false),
            ("[ds] ", Some("ds"), "", false),
            ("", None, "", false),
            ("/", None, "", true),
            ("/[old] 50% + #1 & é", None, "[old] 50% + #1 & é", false),
            ("a%2fb..c", None, "a%2fb..c", false),
        ] {
            let read = StorePath::read(text).unwrap();
            assert_eq!(
                (read.store.as_deref(), read.path.as_str(), read.folder),
                (store, path, folder),
                "{text}"
            );
        }
        let long = "x".repeat(LONGEST + 1);
        for text in ["[ds", "[] a", "a/../b", "..", "[ds] ..", "a\nb", "a\0", &long] {
            assert_eq!(StorePath::read(text).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    }

    #[test]
    fn one_datastore_is_meant() {
        let on = |text: &str, beside| {
            let read = StorePath::read(text).unwrap();
            read.on(beside).map(str::to_owned).map_err(|it| it.kind())
        };
        assert_eq!(on("[a] x", Some("a")), Ok("a".into()));
        assert_eq!(on("[a] x", None), Ok("a".into()));
        assert_eq!(on("x", Some("[a]")), Ok("a".into()));
        assert_eq!(on("[a] x", Some("b")), Err(Kind::Usage));
        assert_eq!(on("x", None), Err(Kind::Usage));
    }

    #[test]
    fn parts() {
        assert_eq!((split("a/b/c"), split("c")), (("a/b", "c"), ("", "c")));
        assert_eq!((join("a", "b"), join("", "b")), ("a/b".into(), "b".into()));
        assert_eq!((full("ds", ""), full("ds", "a b")), ("[ds]".into(), "[ds] a b".into()));
        assert!(within("a/b", "a") && within("a", "a") && !within("ab", "a"));
    }

    #[test]
    fn disks_and_their_data() {
        let of = |it: &str| disk_of_extent(it);
        assert_eq!(of("w/w-flat.vmdk").as_deref(), Some("w/w.vmdk"));
        assert_eq!(of("w/w-000001-sesparse.vmdk").as_deref(), Some("w/w-000001.vmdk"));
        assert_eq!((of("w/w.vmdk"), of("w/-flat.vmdk"), of("flat.iso")), (None, None, None));
        assert!(is_disk("w.vmdk") && is_disk("W.VMDK") && !is_disk("w-flat.vmdk"));
    }
}
