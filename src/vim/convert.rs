//! What turns into a [`Value`] by itself, so that requests read like the data that they hold.
//!
//! Surprising: a number too large for any field of the API becomes a fraction, which no whole-number
//! field accepts; so it is refused when it is sent, and not cut.

use crate::vim::value::{Object, Ref, Value};

/// Conversions that need no thought.
macro_rules! from {
    ($($of:ty, $it:ident => $value:expr;)*) => {$(
        impl From<$of> for Value {
            fn from($it: $of) -> Value {
                $value
            }
        }
    )*};
}

from! {
    bool, it => Value::Bool(it);
    i16, it => Value::Int(it.into());
    i32, it => Value::Int(it.into());
    i64, it => Value::Int(it);
    u8, it => Value::Int(it.into());
    u16, it => Value::Int(it.into());
    u32, it => Value::Int(it.into());
    u64, it => i64::try_from(it).map_or(Value::Float(it as f64), Value::Int);
    usize, it => Value::from(it as u64);
    f64, it => Value::Float(it);
    &str, it => Value::Text(it.to_owned());
    String, it => Value::Text(it);
    &String, it => Value::Text(it.clone());
    Ref, it => Value::Ref(Box::new(it));
    &Ref, it => Value::from(it.clone());
    Object, it => Value::Object(it);
    &Object, it => Value::Object(it.clone());
    &Value, it => it.clone();
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(items: Vec<T>) -> Value {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(items: [T; N]) -> Value {
        items.into_iter().collect()
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Value {
        Value::List(items.into_iter().map(Into::into).collect())
    }
}
