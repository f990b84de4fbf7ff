//! Registering files as machines, taking machines out of the inventory, answering questions.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::machines::Machines;
use crate::hv::model::{MachineRef, PowerState};
use crate::hv::prepared::Prepared;
use crate::vim::value::{Object, Value};
use crate::vsphere::machines::reference;
use crate::vsphere::site::Site;
use crate::vsphere::store_path::{StorePath, full};
use crate::vsphere::tree::escaped;
use crate::vsphere::{Vsphere, task};

impl Vsphere {
    /// Prepares to register a `.vmx` file; `path` is `[datastore] folder/file.vmx`.
    pub fn register<'a>(
        &'a self,
        call: &Call,
        path: &str,
        name: Option<&str>,
    ) -> Result<Prepared<'a>> {
        let read = StorePath::read(path)?;
        let (Some(store), true) = (&read.store, read.path.to_lowercase().ends_with(".vmx")) else {
            return Err(Error::usage(format!("`{}` is no .vmx file on a datastore", quoted(path)))
                .hint("Such as [datastore1] web/web.vmx"));
        };
        let (path, file) = (full(store, &read.path), read.path);
        let site = Site::read(self, call)?;
        let (folder, store) = (site.folder(None)?, site.datastore(Some(store), None)?);
        if let Some(name) = name {
            site.refuse_duplicate(name, &folder)?;
        }
        let args = Object::args()
            .with("path", path.as_str())
            .with_some("name", name.map(escaped))
            .with("asTemplate", false)
            .with("pool", site.pool());
        let what = name.map_or(file.clone(), |name| format!("{file} as `{name}`"));
        let step = format!(
            "{what} on `{}` is added to the inventory of `{}`",
            store.name,
            site.compute_name()
        );
        let seen = format!("{} {path}", store.at.id);
        Ok(Prepared::new(vec![step], seen, move |call| {
            let method = "RegisterVM_Task";
            let made = task::run(&self.session, call, &folder, method, &args, None, "registering")?;
            let id =
                made.as_ref().and_then(Value::as_reference).map_or("unknown", |it| it.id.as_str());
            Ok(vec![format!("registered, id {id}")])
        }))
    }

    /// Prepares to take a machine out of the inventory; its files stay.
    pub fn unregister<'a>(&'a self, call: &Call, wanted: &str) -> Result<Prepared<'a>> {
        let machine = self.find(call, wanted)?;
        let (name, state) = (machine.at.name.clone(), machine.power);
        if state != PowerState::Off {
            return Err(Error::new(Kind::Conflict, format!("`{name}` is {}", state.word()))
                .hint("Shut it down or power it off first"));
        }
        let step = format!("`{name}` ({}) leaves the inventory; its files stay", machine.at.id);
        let seen = format!("{} {}", machine.at.id, machine.native_state);
        let loss = format!(
            "the place of `{name}` at {}, its rights and its history there",
            machine.at.path
        );
        Ok(Prepared::new(vec![step], seen, move |call| {
            self.session.call(call, &reference(&machine.at), "UnregisterVM", &Object::args())?;
            Ok(vec!["unregistered; its files stay".to_owned()])
        })
        .losing(vec![loss]))
    }

    /// Answers the question of this id with the key of a choice.
    pub fn answer(
        &self,
        call: &Call,
        machine: &MachineRef,
        question: &str,
        choice: &str,
    ) -> Result<()> {
        let args = Object::args().with("questionId", question).with("answerChoice", choice);
        self.session.call(call, &reference(machine), "AnswerVM", &args).map(|_| ())
    }
}
