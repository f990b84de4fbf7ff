//! Appliances on vSphere: import specs and leases both ways.

use crate::error::Result;
use crate::hv::appliances::{Appliances, Collect, Export, Import, Supply};
use crate::hv::call::Call;
use crate::hv::prepared::Prepared;
use crate::vsphere::{Vsphere, export, import};

impl Appliances for Vsphere {
    fn import<'a>(
        &'a self,
        call: &Call,
        what: &Import<'_>,
        files: Box<dyn Supply + 'a>,
    ) -> Result<Prepared<'a>> {
        import::prepare(self, call, what, files)
    }

    fn export<'a>(
        &'a self,
        call: &Call,
        what: &Export<'_>,
        into: Box<dyn Collect + 'a>,
    ) -> Result<Prepared<'a>> {
        export::prepare(self, call, what, into)
    }
}
