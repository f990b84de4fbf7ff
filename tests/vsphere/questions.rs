//! Questions that a machine asks while somebody waits for it.

use jumpvisor::error::Kind;

use crate::rig::{gate, has, tool};
use crate::scripted::Peer;
use crate::scripted::tasks::{Round, Script};
use crate::scripted::world::question;

const ON: &str = "PowerOnVM_Task";

#[test]
fn a_question_ends_the_wait_with_its_choices_and_the_answer_lets_the_task_go_on() {
    let peer = Peer::esxi();
    peer.script(ON, Script::new(&[Round::Progress(Some(1)), Round::Ask, Round::Done]));
    let gate = gate(&peer);
    let error = tool(&gate, "power_on", &["name=db01"]).unwrap_err();
    assert_eq!((error.kind(), error.fault_name()), (Kind::Conflict, Some("QuestionPending")));
    let parts = ["might have been moved or copied", "answer_vm_question", "2 (I Copied It)"];
    has(&error.to_string(), &parts);
    assert_eq!(peer.count("CancelTask"), 0, "the task is left to go on");

    let listed = tool(&gate, "list_vms", &["name=db01", "response_format=detailed"]).unwrap();
    has(&listed.data, &["might have been moved or copied"]);
    let again = tool(&gate, "power_on", &["name=db01"]).unwrap_err();
    has(&again.to_string(), &["waits for an answer", "2 (I Copied It)"]);
    assert_eq!(peer.count(ON), 1, "no second task on top");

    let shown = tool(&gate, "answer_vm_question", &["name=db01"]).unwrap();
    has(&shown.text, &["might have been moved or copied", "2 (I Copied It)"]);
    assert_eq!(peer.count("AnswerVM"), 0, "looking answers nothing");
    let error = tool(&gate, "answer_vm_question", &["name=db01", "choice=9"]).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    let told = tool(&gate, "answer_vm_question", &["name=db01", "choice=i copied it"]).unwrap();
    has(&told.text, &["answered 2"]);
    let sent = peer.last("AnswerVM");
    assert_eq!(sent.arg("questionId").as_deref(), Some("msg.uuid.altered:1"));
    assert_eq!(sent.arg("answerChoice").as_deref(), Some("2"));
    has(&tool(&gate, "answer_vm_question", &["name=db01"]).unwrap().text, &["asks nothing"]);
}

#[test]
fn a_question_that_stood_before_is_told_instead_of_a_task() {
    let peer = Peer::esxi();
    peer.change(|state| state.vm("2").set("runtime.question", question()));
    let gate = gate(&peer);
    let error = tool(&gate, "power_on", &["name=db01"]).unwrap_err();
    has(&error.to_string(), &["waits for an answer"]);
    assert_eq!(peer.count(ON), 0);
    let told = tool(&gate, "power_on", &["names=db01,a/b"]).unwrap();
    assert!(told.some_failed);
    has(&told.text, &["waits for an answer", "powered on"]);
}
