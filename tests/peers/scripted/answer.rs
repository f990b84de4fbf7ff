//! What the peer answers: results and faults in their envelopes, and everything that is neither.

use std::io::{Cursor, Read};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\" \
xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" \
xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" \
xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n";
const TAIL: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";

/// One answer.
pub enum Answer {
    /// 200 with what stands inside the method's response element.
    Result(String),
    /// 500 with a fault: class, its fields as XML, and the text for a person.
    Fault(String, String, String),
    /// Anything over HTTP.
    Http(u16, Vec<(String, String)>, Box<dyn Read + Send>),
    /// The connection ends before a byte of the answer.
    DropBefore,
    /// The connection ends in the middle of this result.
    DropMid(String),
}

impl Answer {
    /// A fault without fields.
    pub fn fault(class: &str, text: &str) -> Answer {
        Answer::Fault(class.into(), String::new(), text.into())
    }

    /// A page of no vSphere server.
    pub fn html(status: u16) -> Answer {
        let page = "<!DOCTYPE html><html><body><p>Hello & welcome<br></body></html>";
        Answer::http(status, &[("Content-Type", "text/html")], page)
    }

    /// Status, headers and body.
    pub fn http(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(owned).collect();
        Answer::Http(status, headers, Box::new(Cursor::new(body.to_owned())))
    }

    /// A fault element as it is, for servers that write it oddly.
    pub fn odd_fault(inside: &str) -> Answer {
        let body = format!("{HEAD}<soapenv:Fault>{inside}</soapenv:Fault>{TAIL}");
        Answer::http(500, &[("Content-Type", "text/xml; charset=utf-8")], &body)
    }

    /// A response whose inside is written piece by piece as it is read.
    pub fn stream(method: &str, inside: impl Read + Send + 'static) -> Answer {
        let (open, close) = around(method);
        let body = Cursor::new(open).chain(inside).chain(Cursor::new(close));
        Answer::Http(200, soap_headers(), Box::new(body))
    }
}

/// What goes over the wire for an answer to `method`; `None` where the connection just ends.
pub struct Sent {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Box<dyn Read + Send>,
    /// The connection ends when the body does, without an orderly end.
    pub cut: bool,
}

/// The answer as HTTP.
pub fn sent(method: &str, answer: Answer) -> Option<Sent> {
    let soap = |status, text: String, cut| {
        Some(Sent { status, headers: soap_headers(), body: Box::new(Cursor::new(text)), cut })
    };
    let (open, close) = around(method);
    match answer {
        Answer::Result(inside) => soap(200, format!("{open}{inside}{close}"), false),
        Answer::Fault(class, fields, text) => {
            let fault = format!(
                "{HEAD}<soapenv:Fault><faultcode>ServerFaultCode</faultcode>\
                 <faultstring>{}</faultstring><detail>\
                 <{class}Fault xmlns=\"urn:vim25\" xsi:type=\"{class}\">{fields}</{class}Fault>\
                 </detail></soapenv:Fault>{TAIL}",
                escaped(&text)
            );
            soap(500, fault, false)
        }
        Answer::Http(status, headers, body) => Some(Sent { status, headers, body, cut: false }),
        Answer::DropBefore => None,
        Answer::DropMid(inside) => {
            let whole = format!("{open}{inside}{close}");
            let half = whole.chars().take(whole.chars().count() / 2).collect();
            soap(200, half, true)
        }
    }
}

fn around(method: &str) -> (String, String) {
    let open = format!("{HEAD}<{method}Response xmlns=\"urn:vim25\">");
    (open, format!("</{method}Response>{TAIL}"))
}

fn soap_headers() -> Vec<(String, String)> {
    vec![("Content-Type".into(), "text/xml; charset=utf-8".into())]
}

/// Text as XML wants it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// `<returnval type="Task">task-1</returnval>`.
pub fn returns_ref(kind: &str, id: &str) -> Answer {
    Answer::Result(format!("<returnval type=\"{kind}\">{}</returnval>", escaped(id)))
}
