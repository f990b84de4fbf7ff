//! The manifest of an appliance, and digests that are taken while the files stream by.
//!
//! The manifest may stand right after the descriptor or at the very end; before it is known every
//! file is digested by all algorithms that one may name, after it by the one that it names. Source:
//! vSphere spec 5.2. Surprising: a file's name may hold `)` and `=`, so it ends at the last `)`.

use ring::digest;

use crate::error::{Error, Kind, Result, quoted};
use crate::text::hex::hex;

/// Files of one manifest; an appliance has a handful.
const MAX_ENTRIES: usize = 10_000;

/// How a digest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

impl Algorithm {
    const ALL: [Algorithm; 3] = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

    /// As a manifest writes it.
    pub fn word(self) -> &'static str {
        match self {
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha512 => "SHA512",
        }
    }

    fn find(word: &str) -> Option<Algorithm> {
        let word = word.trim().replace('-', "");
        Algorithm::ALL.into_iter().find(|it| it.word().eq_ignore_ascii_case(&word))
    }

    fn begin(self) -> digest::Context {
        digest::Context::new(match self {
            Algorithm::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => &digest::SHA256,
            Algorithm::Sha512 => &digest::SHA512,
        })
    }
}

/// One line: what a file's digest must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub algorithm: Algorithm,
    /// Lower-case hex.
    pub digest: String,
}

/// What all files' digests must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// Reads the text of an `.mf` file.
    pub fn parse(bytes: &[u8]) -> Result<Manifest> {
        let text = String::from_utf8_lossy(bytes);
        let mut entries = Vec::new();
        let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
        for (at, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let entry = entry(line).ok_or_else(|| {
                let said =
                    format!("line {} of the manifest cannot be read: `{}`", at + 1, quoted(line));
                Error::usage(said).hint("A line looks like `SHA256(disk.vmdk)= 9f86d0…`")
            })?;
            entries.push(entry);
            if entries.len() > MAX_ENTRIES {
                return Err(Error::usage(format!(
                    "the manifest lists more than {MAX_ENTRIES} files"
                )));
            }
        }
        Ok(Manifest { entries })
    }

    /// One line for each file, as VMware's own tools write and read it.
    pub fn write(&self) -> String {
        let line = |it: &Entry| format!("{}({})= {}\n", it.algorithm.word(), it.name, it.digest);
        self.entries.iter().map(line).collect()
    }

    fn of(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|it| it.name == name)
    }
}

fn entry(line: &str) -> Option<Entry> {
    let (word, rest) = line.split_once('(')?;
    let (name, rest) = rest.rsplit_once(')')?;
    let digest = rest.trim().strip_prefix('=')?.trim().to_ascii_lowercase();
    let algorithm = Algorithm::find(word)?;
    let right = digest.bytes().all(|it| it.is_ascii_hexdigit())
        && digest.len() == algorithm.begin().finish().as_ref().len() * 2;
    let name = name.strip_prefix("./").unwrap_or(name).to_owned();
    (right && !name.is_empty()).then_some(Entry { name, algorithm, digest })
}

/// A file whose bytes are going by.
pub struct Hashing {
    name: String,
    running: Vec<(Algorithm, digest::Context)>,
}

impl Hashing {
    /// False where nobody will ask for the digest.
    pub fn is_needed(&self) -> bool {
        !self.running.is_empty()
    }

    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        for (_, context) in &mut self.running {
            context.update(bytes);
        }
    }
}

/// Compares files with the manifest, whichever comes first.
#[derive(Default)]
pub struct Checker {
    manifest: Option<Manifest>,
    /// Digests of files that went by before the manifest.
    seen: Vec<Entry>,
    names: Vec<String>,
    compared: usize,
}

impl Checker {
    /// True once the manifest is known.
    pub fn has_manifest(&self) -> bool {
        self.manifest.is_some()
    }

    /// Whether the manifest lists a file of this name; also where it is not known yet.
    pub fn may_list(&self, name: &str) -> bool {
        self.manifest.as_ref().is_none_or(|it| it.of(name).is_some())
    }

    /// Begins a file; the digests that will be needed are made, and no others.
    pub fn begin(&self, name: &str) -> Hashing {
        let wanted: Vec<Algorithm> = match &self.manifest {
            Some(manifest) => manifest.of(name).map(|it| it.algorithm).into_iter().collect(),
            None => Algorithm::ALL.to_vec(),
        };
        let running = wanted.into_iter().map(|it| (it, it.begin())).collect();
        Hashing { name: name.to_owned(), running }
    }

    /// Ends a file; where the manifest is known, a wrong digest is an error at once.
    pub fn end(&mut self, file: Hashing) -> Result<()> {
        let known = self.manifest.is_some();
        self.compared += usize::from(known && file.is_needed());
        for (algorithm, context) in file.running {
            let digest = hex(context.finish().as_ref());
            let entry = Entry { name: file.name.clone(), algorithm, digest };
            match &self.manifest {
                Some(manifest) => drop(compare(manifest, &entry)?),
                None => self.seen.push(entry),
            }
        }
        self.names.push(file.name);
        Ok(())
    }

    /// The manifest has come; what went by before it is compared.
    pub fn learn(&mut self, manifest: Manifest) -> Result<()> {
        for entry in std::mem::take(&mut self.seen) {
            self.compared += usize::from(compare(&manifest, &entry)?);
        }
        self.manifest = Some(manifest);
        Ok(())
    }

    /// A file is there and is not read, because nobody needs it.
    pub fn present(&mut self, name: &str) {
        self.names.push(name.to_owned());
    }

    /// The same of all files that the manifest lists.
    pub fn all_present(&mut self) {
        let names = self.manifest.iter().flat_map(|it| &it.entries).map(|it| it.name.clone());
        self.names.extend(names);
    }

    /// How many files were as the manifest says.
    pub fn compared(&self) -> usize {
        self.compared
    }

    /// At the end: every file of the manifest must have gone by. Whether there was a manifest.
    pub fn finish(&self) -> Result<bool> {
        let Some(manifest) = &self.manifest else { return Ok(false) };
        match manifest.entries.iter().find(|it| !self.names.contains(&it.name)) {
            None => Ok(true),
            Some(entry) => Err(Error::usage(format!(
                "the manifest lists `{}`, which is not in the OVA",
                quoted(&entry.name)
            ))
            .hint("The archive is incomplete; fetch it again")),
        }
    }
}

/// Whether the manifest has a digest of this kind for the file.
fn compare(manifest: &Manifest, found: &Entry) -> Result<bool> {
    let entry = manifest.of(&found.name).filter(|it| it.algorithm == found.algorithm);
    let Some(entry) = entry else { return Ok(false) };
    if entry.digest == found.digest {
        return Ok(true);
    }
    let said = format!(
        "`{}` is not what the manifest says: {} {} instead of {}",
        quoted(&found.name),
        found.algorithm.word(),
        found.digest,
        entry.digest
    );
    Err(Error::new(Kind::Usage, said)
        .fault("ManifestMismatch")
        .hint("It was damaged or changed on its way; fetch it again. verify=false skips the check"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY1: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    #[test]
    fn lines_as_many_tools_write_them() {
        let text = format!(
            "\u{feff}SHA256(a.ovf)= {EMPTY}\r\n\r\nSHA1 (x (1)=.vmdk) ={}\nsha-256(./b)={EMPTY}",
            EMPTY1.to_uppercase()
        );
        let manifest = Manifest::parse(text.as_bytes()).unwrap();
        let names: Vec<&str> = manifest.entries.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["a.ovf", "x (1)=.vmdk", "b"]);
        assert_eq!(manifest.entries[1].digest, EMPTY1);
        assert_eq!(Manifest::parse(manifest.write().as_bytes()).unwrap(), manifest);
        for bad in ["x", "MD5(a)= 00", "SHA256(a)= 00", "SHA256()= ", &format!("SHA1(a)= {EMPTY}")]
        {
            assert!(Manifest::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_digest_is_found_wherever_the_manifest_stands() {
        let manifest =
            |name: &str| Manifest::parse(format!("SHA256({name})= {EMPTY}\n").as_bytes()).unwrap();
        for first in [true, false] {
            for (data, good) in [(&b""[..], true), (b"x", false)] {
                let mut checker = Checker::default();
                let mut results = Vec::new();
                if first {
                    results.push(checker.learn(manifest("disk")));
                }
                let mut file = checker.begin("disk");
                file.update(data);
                results.push(checker.end(file));
                if !first {
                    results.push(checker.learn(manifest("disk")));
                }
                assert_eq!(results.iter().all(Result::is_ok), good, "{first} {data:?}");
                assert!(checker.has_manifest() || !good);
            }
        }
        let mut checker = Checker::default();
        assert!(!checker.finish().unwrap());
        checker.learn(manifest("disk")).unwrap();
        assert!(checker.finish().is_err());
        // A file that the manifest does not list costs nothing.
        assert!(checker.begin("other").running.is_empty());
    }
}
