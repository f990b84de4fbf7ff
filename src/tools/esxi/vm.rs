//! Machines as only vSphere treats them: registering files, answering questions.

use crate::change;
use crate::error::{Error, Kind, Result};
use crate::hv::model::{MachineRef, Question};
use crate::tools::args::{Arg, Args};
use crate::tools::ctx::Ctx;
use crate::tools::esxi::client;
use crate::tools::plan;
use crate::tools::plan::{Deed, Plan};
use crate::tools::reply::{Record, Reply};
use crate::tools::vm::VM;
use crate::tools::{Effect, Level, Tool};

pub static TOOLS: &[Tool] = &[
    Tool {
        name: "register_vm",
        title: "Register a VM",
        about: "Add the VM of a .vmx file that lies on a datastore to the inventory.",
        level: Level::Vm,
        effect: Effect::Changes,
        idempotent: false,
        args: &[PATH, NAME],
        run: change!(plan_register, plan::act),
    },
    Tool {
        name: "unregister_vm",
        title: "Unregister a VM",
        about: "Take a powered-off VM out of the inventory; its files stay.",
        level: Level::Vm,
        effect: Effect::Destroys,
        idempotent: false,
        args: &[VM],
        run: change!(plan_unregister, plan::act),
    },
    Tool {
        name: "answer_vm_question",
        title: "Answer a VM's question",
        about: "Show the question that holds a VM up and its choices; with `choice`, answer it.",
        level: Level::Power,
        effect: Effect::Changes,
        idempotent: false,
        args: &[VM, CHOICE],
        run: change!(plan_answer, answer),
    },
];

const PATH: Arg = Arg::text("path", "such as [datastore1] web/web.vmx").required();
const NAME: Arg = Arg::text("name", "default: the name in the file");
const CHOICE: Arg = Arg::text("choice", "key or label of a choice");

fn plan_register<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let path = args.text(PATH)?;
    let name = args.opt_text(NAME);
    Ok(plan::prepared(name.unwrap_or(path), client(ctx)?.register(&ctx.call, path, name)?))
}

fn plan_unregister<'a>(ctx: &Ctx<'a>, args: &Args) -> Result<Plan<Deed<'a>>> {
    let name = args.text(VM)?;
    Ok(plan::prepared(name, client(ctx)?.unregister(&ctx.call, name)?))
}

/// A pending question, and the key of the answer if one was given.
struct Answer {
    machine: MachineRef,
    question: Option<Question>,
    choice: Option<String>,
}

fn plan_answer(ctx: &Ctx<'_>, args: &Args) -> Result<Plan<Answer>> {
    client(ctx)?;
    let machine = ctx.machines()?.find(&ctx.call, args.text(VM)?)?;
    let name = &machine.at.name;
    let wanted = args.opt_text(CHOICE);
    let (step, choice) = match (&machine.question, wanted) {
        (None, None) => (format!("`{name}` asks nothing"), None),
        (None, Some(_)) => {
            return Err(Error::new(Kind::NotFound, format!("`{name}` asks nothing"))
                .hint("It may have been answered meanwhile; get_vm_info shows the state"));
        }
        (Some(asked), None) => (format!("`{name}` asks: {}", asked.text), None),
        (Some(asked), Some(wanted)) => {
            let key = pick(asked, wanted)?;
            (format!("`{name}` asks `{}` and is answered {key}", asked.text), Some(key))
        }
    };
    let seen = machine.question.as_ref().map_or(String::new(), |it| it.id.clone());
    Ok(Plan::new(
        vec![step],
        seen,
        Answer { machine: machine.at, question: machine.question, choice },
    ))
}

fn pick(question: &Question, wanted: &str) -> Result<String> {
    let meant =
        |(key, label): &&(String, String)| key == wanted || label.eq_ignore_ascii_case(wanted);
    question.choices.iter().find(meant).map(|(key, _)| key.clone()).ok_or_else(|| {
        Error::usage(format!("`{wanted}` is no answer to `{}`", question.text))
            .hint(format!("Choices: {}", question.offered()))
    })
}

fn answer(ctx: &Ctx<'_>, it: Answer) -> Result<Reply> {
    let name = &it.machine.name;
    let record = Record::new().text("vm", name);
    let Some(question) = it.question else {
        return Ok(Reply::said(format!("{name} asks nothing"), record.flag("pending", false)));
    };
    let record = record.text("question", &question.text);
    if let Some(choice) = it.choice {
        client(ctx)?.answer(&ctx.call, &it.machine, &question.id, &choice)?;
        let said = format!("{name}: answered {choice} to `{}`", question.text);
        return Ok(Reply::said(said, record.flag("pending", false).text("answered", choice)));
    }
    let row = |(key, label): &(String, String)| {
        Record::new()
            .text("key", key)
            .text("label", label)
            .flag("default", question.default.as_ref() == Some(key))
    };
    let said = format!("{name} asks: {}\nchoices: {}", question.text, question.offered());
    let rows = question.choices.iter().map(row).collect();
    Ok(Reply::said(said, record.flag("pending", true).records("choices", rows)))
}
