//! What a descriptor does wrong: errors and warnings as faults with the sentences of hosts.
//!
//! It knows no XML and no devices. Surprising: the same finding is an error where the descriptor
//! requires the thing, and a warning where it may be left out.

use crate::sim::fault::Fault;
use crate::vim::table::Type;
use crate::vim::value::Object;
use crate::vim::value::Value;

/// Findings of each sort; a hostile descriptor has one a line.
const MOST: usize = 100;

/// Errors and warnings, in the order in which they were found.
#[derive(Default)]
pub struct Notes {
    errors: Vec<Object>,
    warnings: Vec<Object>,
}

impl Notes {
    /// True when nothing can be made of the descriptor.
    pub fn failed(&self) -> bool {
        !self.errors.is_empty()
    }

    /// A fault that is there already.
    pub fn push(&mut self, required: bool, fault: Fault) {
        let list = if required { &mut self.errors } else { &mut self.warnings };
        if list.len() < MOST {
            list.push(fault.localized());
        }
    }

    /// A fault of this type; line 0 is none that is known.
    pub fn add<const N: usize>(
        &mut self,
        required: bool,
        line: usize,
        kind: &'static str,
        text: &str,
        fields: [(&'static str, Value); N],
    ) {
        self.put(required, line, kind, text, &fields);
    }

    fn put(
        &mut self,
        required: bool,
        line: usize,
        kind: &'static str,
        text: &str,
        fields: &[(&'static str, Value)],
    ) {
        let placed = Type::find(kind).and_then(|it| it.field("lineNumber")).is_some();
        let text = match placed && line > 0 {
            true => format!("Line {line}: {text}"),
            false => text.to_owned(),
        };
        let mut fault = Fault::new(kind, text);
        if placed {
            fault = fault.with("lineNumber", line);
        }
        for (name, value) in fields {
            fault = fault.with(name, value.clone());
        }
        self.push(required, fault);
    }

    /// The XML itself cannot be read.
    pub fn xml(&mut self, line: usize, why: &str) {
        self.add(true, line, "OvfXmlFormat", why, [("description", why.into())]);
    }

    /// An element lacks an attribute.
    pub fn lacks_attribute(&mut self, line: usize, element: &str, attribute: &str) {
        let text = format!("Missing attribute '{attribute}' of element '{element}'.");
        let named = [("elementName", element.into()), ("attributeName", attribute.into())];
        self.add(true, line, "OvfMissingAttribute", &text, named);
    }

    /// An element lacks a child.
    pub fn lacks_element(&mut self, line: usize, child: &str, parent: &str) {
        let text = format!("Missing child element '{child}' to element '{parent}'.");
        self.add(true, line, "OvfMissingElement", &text, [("name", child.into())]);
    }

    /// A value of an attribute that cannot be: one of the `OvfInvalidValue` family, with the names
    /// of element and attribute and the value.
    pub fn value(&mut self, required: bool, line: usize, kind: &'static str, what: [&str; 3]) {
        let [element, attribute, value] = what;
        let text =
            format!("Invalid value '{value}' for attribute '{attribute}' on element '{element}'.");
        let named = [
            ("elementName", element.into()),
            ("attributeName", attribute.into()),
            ("value", value.into()),
        ];
        self.add(required, line, kind, &text, named);
    }

    /// A value of an element that cannot be.
    pub fn element(&mut self, required: bool, line: usize, name: &str, value: &str) {
        let text = format!("Invalid value '{value}' for element '{name}'.");
        let named = [("name", name.into()), ("value", value.into())];
        self.add(required, line, "OvfElementInvalidValue", &text, named);
    }

    /// Puts the findings into a result.
    pub fn onto(self, result: Object) -> Object {
        let some = |list: Vec<Object>| Some(list).filter(|it| !it.is_empty());
        result.with_some("warning", some(self.warnings)).with_some("error", some(self.errors))
    }
}
