//! Templates: machines that never run and are copied from.
//!
//! Only a vCenter has them. Surprising: marking is no task and takes no time, and a template has no
//! resource pool, so one must be named when it becomes a machine again.

use crate::error::{Error, Kind, Result, quoted};
use crate::hv::call::Call;
use crate::hv::lifecycle::NewClone;
use crate::hv::model::PowerState;
use crate::hv::prepared::Prepared;
use crate::vim::value::Object;
use crate::vsphere::clone::Deploy;
use crate::vsphere::machines::{power, reference};
use crate::vsphere::near::Near;
use crate::vsphere::{Vsphere, clone, near, props};

const PATHS: &[&str] = &["runtime.powerState", "runtime.host", "summary.config.template"];

impl Vsphere {
    /// Refuses what a standalone host has no means for.
    pub fn must_be_vcenter(&self, call: &Call, lacks: &str, instead: &str) -> Result<()> {
        match self.session.live(call)?.is_vcenter() {
            true => Ok(()),
            false => {
                let said = format!("a standalone ESXi {lacks}; that needs vCenter");
                Err(Error::new(Kind::Unsupported, said).hint(instead))
            }
        }
    }

    /// Prepares to make a template of a machine.
    pub fn to_template<'a>(&'a self, call: &Call, wanted: &str) -> Result<Prepared<'a>> {
        let instead = "clone_vm copies a VM that is off, which serves as well";
        self.must_be_vcenter(call, "has no templates", instead)?;
        let at = self.locate(call, wanted)?;
        let row = props::one(&self.session, call, &reference(&at), "VirtualMachine", PATHS)?;
        if row.flag("summary.config.template") == Some(true) {
            return Ok(Prepared::already(format!("`{}` is already a template", at.name)));
        }
        let state = power(row.text("runtime.powerState").unwrap_or_default());
        if state != PowerState::Off {
            let said = format!("`{}` is {}, and a template never runs", at.name, state.word());
            return Err(Error::new(Kind::Conflict, said)
                .hint("Power it off first (shutdown_guest or power_off)"));
        }
        let step = format!(
            "`{}` ({}) becomes a template: it cannot be powered on or changed until convert_to_vm",
            at.name, at.id
        );
        let seen = format!("{} {}", at.id, state.word());
        Ok(Prepared::new(vec![step], seen, move |call| {
            self.session.call(call, &reference(&at), "MarkAsTemplate", &Object::args())?;
            Ok(vec!["is a template now".to_owned()])
        }))
    }

    /// Prepares to make a machine of a template, in this pool or in that of its host.
    pub fn to_machine<'a>(
        &'a self,
        call: &Call,
        wanted: &str,
        pool: Option<&str>,
    ) -> Result<Prepared<'a>> {
        let instead = "Its VMs are no templates; power_on starts them";
        self.must_be_vcenter(call, "has no templates", instead)?;
        let at = self.locate(call, wanted)?;
        let row = props::one(&self.session, call, &reference(&at), "VirtualMachine", PATHS)?;
        if row.flag("summary.config.template") == Some(false) {
            return Ok(Prepared::already(format!("`{}` is already a VM", at.name)));
        }
        let near = Near::all(self, call)?;
        let pool = match pool {
            Some(wanted) => near.pool(wanted)?,
            None => {
                let host = row.reference("runtime.host");
                let own = host.and_then(|host| near.own_pool(host));
                own.and_then(|(pool, _)| near.row(pool)).ok_or_else(|| {
                    let said = format!("the resource pool around `{}` cannot be read", at.name);
                    Error::new(Kind::NotFound, said).hint("Pass resource_pool")
                })?
            }
        };
        let (path, id) = (near.path(pool), pool.at.id.clone());
        let mut steps =
            vec![format!("`{}` ({}) becomes a VM in resource pool {path}, off", at.name, at.id)];
        let home = row.reference("runtime.host").and_then(|host| near.own_pool(host));
        let there = pool.reference("owner").filter(|it| home.is_some_and(|home| home.1 != it.id));
        if let Some(there) = there.and_then(|it| near.row(it)) {
            steps.push(format!(
                "its host is then one of `{}`, which must have DRS or no other host",
                near::name(there)
            ));
        }
        let seen = format!("{} {id}", at.id);
        let args = Object::args().with("pool", &pool.at);
        Ok(Prepared::new(steps, seen, move |call| {
            self.session.call(call, &reference(&at), "MarkAsVirtualMachine", &args)?;
            Ok(vec![format!("is a VM now, in resource pool {path}, powered off")])
        }))
    }

    /// Prepares a machine out of a template.
    pub fn deploy<'a>(
        &'a self,
        call: &Call,
        template: &str,
        new: &NewClone,
        customization: Option<&str>,
    ) -> Result<Prepared<'a>> {
        let instead = "clone_vm copies a VM that is off";
        self.must_be_vcenter(call, "has no templates", instead)?;
        let customization = match customization {
            Some(name) => Some((name.to_owned(), self.customization(call, name)?)),
            None => None,
        };
        clone::prepare(self, call, template, new, Some(Deploy { customization }))
    }

    /// The `CustomizationSpec` of this name. Unverified: no vCenter with one was at hand.
    fn customization(&self, call: &Call, wanted: &str) -> Result<Object> {
        let manager = self.session.live(call)?.manager("customizationSpecManager")?;
        let args = Object::args().with("name", wanted);
        let item = match self.session.call(call, &manager, "GetCustomizationSpec", &args) {
            Err(error) if error.kind() == Kind::NotFound => {
                let kind = "CustomizationSpecManager";
                let row = props::one(&self.session, call, &manager, kind, &["info"])?;
                let known: Vec<&str> =
                    row.items("info").iter().filter_map(|it| it.text("name")).take(30).collect();
                let said = format!("no customization specification `{}`", quoted(wanted));
                return Err(Error::new(Kind::NotFound, said).hint(match known.len() {
                    0 => "This vCenter has none".to_owned(),
                    _ => format!("There are: {}", known.join(", ")),
                }));
            }
            item => item?,
        };
        item.as_ref().and_then(|it| it.object("spec")).cloned().ok_or_else(|| {
            Error::new(Kind::Remote, "GetCustomizationSpec: the server gave no specification")
        })
    }
}
