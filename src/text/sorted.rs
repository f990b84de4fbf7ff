//! A map that is a list of rows in the order of their keys.
//!
//! It stands where the library's maps would: a tree brings 5 to 10 KB of code for each pair of types,
//! and a sort of its own wherever one is collected; this brings a few hundred bytes, since the search
//! and the sort are shared. Surprising: a new last key costs nothing, one in the middle moves
//! all rows behind it. That is right for thousands of rows, and for more where they come in order.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::iter::Map;
use std::slice;
use std::vec;

use crate::text::order;

/// Values by key, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sorted<K, V> {
    rows: Vec<(K, V)>,
}

type Rows<'a, K, V> = Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;
type RowsMut<'a, K, V> = Map<slice::IterMut<'a, (K, V)>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Sorted<K, V> {
        Sorted::new()
    }
}

impl<K, V> Sorted<K, V> {
    /// Nothing yet.
    pub const fn new() -> Sorted<K, V> {
        Sorted { rows: Vec::new() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// All rows in order.
    pub fn iter(&self) -> Rows<'_, K, V> {
        self.rows.iter().map(|it| (&it.0, &it.1))
    }

    /// All keys in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.rows.iter().map(|it| &it.0)
    }

    /// All values in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.rows.iter().map(|it| &it.1)
    }

    /// All values, to be changed.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.rows.iter_mut().map(|it| &mut it.1)
    }

    /// The values alone, in the order of their keys.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.rows.into_iter().map(|it| it.1)
    }

    /// Keeps what `keep` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.rows.retain_mut(|it| keep(&it.0, &mut it.1));
    }

    /// Takes out the first row.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.rows.is_empty()).then(|| self.rows.remove(0))
    }
}

impl<K: Ord, V> Sorted<K, V> {
    /// Where a key stands, or would.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        search(self.rows.len(), &|at| self.rows[at].0.borrow().cmp(key))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.rows.get(self.place(key).ok()?).map(|it| &it.1)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.rows.get_mut(at).map(|it| &mut it.1)
    }

    /// Whether the key is there.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Sets a value; answers the one that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.rows[at].1, value)),
            Err(at) => {
                self.rows.insert(at, (key, value));
                None
            }
        }
    }

    /// The value of a key, made where there is none.
    pub fn get_or(&mut self, key: K, fresh: impl FnOnce() -> V) -> &mut V {
        let at = match self.place(&key) {
            Ok(at) => at,
            Err(at) => {
                self.rows.insert(at, (key, fresh()));
                at
            }
        };
        &mut self.rows[at].1
    }

    /// Takes a row out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        Some(self.rows.remove(at).1)
    }

    /// The rows from this key on.
    pub fn from_key<Q: Ord + ?Sized>(&self, key: &Q) -> Rows<'_, K, V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).unwrap_or_else(|at| at);
        self.rows.get(at..).unwrap_or_default().iter().map(|it| (&it.0, &it.1))
    }
}

/// Where `order` says that it is, or where it would stand; the end is looked at first.
fn search(len: usize, order: &dyn Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut low, mut high) = (0, len);
    let mut at = len.wrapping_sub(1);
    while low < high {
        match order(at) {
            Ordering::Equal => return Ok(at),
            Ordering::Less => low = at + 1,
            Ordering::Greater => high = at,
        }
        at = low + (high - low) / 2;
    }
    Err(low)
}

/// Of equal keys the last one counts.
impl<K: Ord, V> FromIterator<(K, V)> for Sorted<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(rows: I) -> Sorted<K, V> {
        let mut rows = order::by(rows.into_iter().collect(), &|a: &(K, V), b| a.0.cmp(&b.0));
        rows.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                std::mem::swap(next, kept);
            }
            same
        });
        Sorted { rows }
    }
}

impl<K: Ord, V> Extend<(K, V)> for Sorted<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, rows: I) {
        for (key, value) in rows {
            self.insert(key, value);
        }
    }
}

impl<K, V> IntoIterator for Sorted<K, V> {
    type Item = (K, V);
    type IntoIter = vec::IntoIter<(K, V)>;

    fn into_iter(self) -> vec::IntoIter<(K, V)> {
        self.rows.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a Sorted<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Rows<'a, K, V>;

    fn into_iter(self) -> Rows<'a, K, V> {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut Sorted<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = RowsMut<'a, K, V>;

    fn into_iter(self) -> RowsMut<'a, K, V> {
        self.rows.iter_mut().map(|it| (&it.0, &mut it.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_in_order() {
        let mut map: Sorted<String, u32> = Sorted::new();
        for (at, key) in ["m", "c", "x", "a", "n", "c"].into_iter().enumerate() {
            map.insert(key.to_owned(), at as u32);
        }
        let keys: Vec<&str> = map.keys().map(String::as_str).collect();
        assert_eq!(keys, ["a", "c", "m", "n", "x"]);
        assert_eq!((map.get("c"), map.get("b"), map.contains_key("x")), (Some(&5), None, true));
        assert_eq!(map.from_key("b").map(|it| *it.1).collect::<Vec<_>>(), [5, 0, 4, 2]);
        assert_eq!(map.from_key("z").count(), 0);
        assert_eq!((map.remove("m"), map.remove("m"), map.len()), (Some(0), None, 4));
        *map.get_or("b".into(), || 7) += 1;
        *map.get_or("b".into(), || 7) += 1;
        assert_eq!(map.get("b"), Some(&9));
        assert_eq!(map.pop_first(), Some(("a".to_owned(), 3)));
        map.retain(|_, value| *value == 9);
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [("b".to_owned(), 9)]);
    }

    #[test]
    fn of_equal_keys_the_last_counts() {
        let map: Sorted<u32, &str> = [(2, "a"), (1, "b"), (2, "c"), (2, "d")].into_iter().collect();
        assert_eq!(map.iter().collect::<Vec<_>>(), [(&1, &"b"), (&2, &"d")]);
    }
}
