//! The client in Python.

use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Api, Declared, Field, Form, Object, Type, View};
use super::names::{self, Taken};
use super::remarks;
use crate::printable;

/// What every client has.
const RUNTIME: &str = include_str!("runtime.py");

/// Words of the language, and names that types of parameters and answers are written with: within a class, a method would
/// hide them.
const RESERVED: [&str; 56] = [
    "False",
    "None",
    "True",
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    "Any",
    "Dict",
    "List",
    "Literal",
    "Union",
    "Optional",
    "bool",
    "bytes",
    "float",
    "int",
    "str",
    "cast",
    "Input",
    "Output",
    "BlockId",
    "Cursor",
    "Subscription",
    "ViewEvent",
    "BaseClient",
    "read_json",
    "write_json",
];

/// Classes of the generated part.
const CLASSES: [&str; 3] = ["Views", "Watch", "Client"];

pub(super) fn render(api: &Api) -> String {
    let mut taken = Taken::with(names::words(RUNTIME).chain(CLASSES));
    let names = api.types.iter().map(|declared| taken.take(&declared.name));
    let types = Types(names.collect());
    let mut text = docstring("", &remarks::file(api, "python"));
    text.push('\n');
    text.push_str(RUNTIME);
    for (declared, name) in api.types.iter().zip(&types.0) {
        text.push_str(&types.declare(declared, name));
    }
    let mut taken = Taken::with(
        RESERVED
            .into_iter()
            .chain(types.0.iter().map(String::as_str)),
    );
    let views: Vec<_> = api
        .views
        .iter()
        .map(|view| (view, taken.take(&names::plain(&view.name))))
        .collect();
    let doc = "The guest's views: what each answers about the state after a block.";
    class(&mut text, "Views", doc, &views, |view, name| {
        types.call(view, name)
    });
    let doc = "Subscriptions to the guest's views: what each answers, whenever that changes.";
    class(&mut text, "Watch", doc, &views, |view, name| {
        types.watch(view, name)
    });
    text.push_str(&client(api));
    text
}

fn class(
    text: &mut String,
    name: &str,
    doc: &str,
    views: &[(&View, String)],
    method: impl Fn(&View, &str) -> (String, String),
) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "

class {name}:
    \"\"\"{doc}\"\"\"

    def __init__(self, client: BaseClient) -> None:
        self._client = client
"
    );
    for (view, name) in views {
        let (head, body) = method(view, name);
        let doc = docstring("        ", &remarks::view(view));
        let _ = write!(text, "\n    def {head}:\n{doc}        return {body}\n");
    }
}

fn client(api: &Api) -> String {
    let mut doc = vec!["Asks and follows a server of the guest.".to_owned()];
    if !api.storage.is_empty() {
        let storage: Vec<_> = api.storage.iter().map(|name| string(name)).collect();
        doc.push(String::new());
        doc.push(format!(
            "Its tables, for `storage` of `writes`: {}.",
            storage.join(", ")
        ));
    }
    let doc = docstring("    ", &doc);
    format!(
        "

class Client(BaseClient):
{doc}
    @property
    def views(self) -> Views:
        \"\"\"What the guest's views answer.\"\"\"
        return Views(self)

    @property
    def watch(self) -> Watch:
        \"\"\"Subscriptions to what the guest's views answer.\"\"\"
        return Watch(self)
"
    )
}

/// The names of the declared types.
struct Types(Vec<String>);

impl Types {
    fn declare(&self, declared: &Declared, name: &str) -> String {
        let lines = remarks::lines(&declared.doc);
        let Type::Object(Object { fields, .. }) = &declared.ty else {
            let doc = comment("", &lines);
            // `Union` of a name alone makes it a type, wherever in the file that is.
            return format!(
                "\n{doc}{name} = Union[{}]\n",
                string(&self.write(&declared.ty))
            );
        };
        let mut text = String::from("\n\n");
        let mut bases = Vec::new();
        for (is_required, suffix, total) in [
            (true, "Required", ""),
            (false, "Optional", "    total=False,\n"),
        ] {
            let mut fields = fields
                .iter()
                .filter(|field| field.is_required == is_required)
                .peekable();
            if fields.peek().is_none() {
                continue;
            }
            let base = format!("_{name}{suffix}");
            let _ = writeln!(text, "{base} = TypedDict(\n    \"{base}\",\n    {{");
            for Field { name, doc, ty, .. } in fields {
                text.push_str(&comment("        ", &remarks::lines(doc)));
                let _ = writeln!(
                    text,
                    "        {}: {},",
                    string(name),
                    string(&self.write(ty))
                );
            }
            let _ = writeln!(text, "    }},\n{total})");
            bases.push(base);
        }
        if bases.is_empty() {
            bases.push("TypedDict".to_owned());
        } else {
            text.push_str("\n\n");
        }
        let doc = if lines.is_empty() {
            "    pass\n".to_owned()
        } else {
            docstring("    ", &lines)
        };
        let _ = write!(text, "class {name}({}):\n{doc}", bases.join(", "));
        text
    }

    fn write(&self, ty: &Type) -> String {
        match ty {
            Type::Unknown | Type::Object(_) => "Any".to_owned(),
            Type::Null => "None".to_owned(),
            Type::Boolean => "bool".to_owned(),
            Type::SmallInteger | Type::Integer => "int".to_owned(),
            Type::Number => "float".to_owned(),
            Type::Text => "str".to_owned(),
            Type::Literal(Value::String(text)) => format!("Literal[{}]", string(text)),
            Type::Literal(Value::Bool(value)) => {
                format!("Literal[{}]", if *value { "True" } else { "False" })
            }
            Type::Literal(value) => format!("Literal[{value}]"),
            Type::List(item) => format!("List[{}]", self.write(item)),
            // It is a list for Python's `json`, too.
            Type::Tuple(items) => {
                format!("List[{}]", self.write(&Type::union(items.iter().cloned())))
            }
            Type::Map(of) => format!("Dict[str, {}]", self.write(of)),
            Type::Union(parts) => {
                let parts: Vec<_> = parts.iter().map(|ty| self.write(ty)).collect();
                format!("Union[{}]", parts.join(", "))
            }
            Type::Declared(at) => self.0.get(*at).cloned().unwrap_or_default(),
        }
    }

    /// The parameter of an input, and what is sent of it.
    fn input(&self, form: &Form) -> (String, &'static str) {
        match form {
            Form::Any => (", input: Input".to_owned(), "input"),
            Form::Nothing => (String::new(), "b\"\""),
            Form::Bytes => (", input: bytes".to_owned(), "input"),
            Form::Text => (", input: str".to_owned(), "input"),
            Form::Json(ty) => (format!(", input: {}", self.write(ty)), "write_json(input)"),
        }
    }

    /// The type of an answer, and how it is made of bytes.
    fn output(&self, form: &Form, bytes: &str) -> (String, String) {
        match form {
            Form::Any => ("Output".to_owned(), format!("Output({bytes})")),
            Form::Nothing | Form::Bytes => ("bytes".to_owned(), bytes.to_owned()),
            Form::Text => ("str".to_owned(), format!("{bytes}.decode()")),
            Form::Json(ty) => {
                let ty = self.write(ty);
                let value = format!("read_json({bytes})");
                // A cast to what it is already is one too many.
                let value = if ty == "Any" {
                    value
                } else {
                    format!("cast({}, {value})", string(&ty))
                };
                (ty, value)
            }
        }
    }

    fn call(&self, view: &View, name: &str) -> (String, String) {
        let (parameter, sent) = self.input(&view.input);
        let view_name = string(&view.name);
        let bytes = format!("self._client.view({view_name}, {sent}, block, timeout=timeout)");
        let (ty, answer) = self.output(&view.output, &bytes);
        let head = format!(
            "{name}(self{parameter}, block: BlockId = \"latest\", *, timeout: Optional[float] = None) -> {ty}"
        );
        (head, answer)
    }

    fn watch(&self, view: &View, name: &str) -> (String, String) {
        let (parameter, sent) = self.input(&view.input);
        let view_name = string(&view.name);
        let (ty, answer) = self.output(&view.output, "answer");
        let head = format!(
            "{name}(
        self{parameter}, *, cursor: Optional[Cursor] = None, start: Optional[Literal[\"first\"]] = None
    ) -> Subscription[ViewEvent[{ty}]]"
        );
        let body = format!(
            "self._client.watch_view({view_name}, {sent}, lambda answer: {answer}, cursor=cursor, start=start)"
        );
        (head, body)
    }
}

/// A comment of lines. With its colon it tells no tool anything, whatever follows.
fn comment(indent: &str, lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", format!("{indent}#: {line}").trim_end());
    }
    text
}

/// A docstring, empty if there are no lines. None of them begins where a line of the program could.
fn docstring(indent: &str, lines: &[String]) -> String {
    let shown = |line: &String| line.replace('\\', "\\\\").replace('"', "\\\"");
    match lines {
        [] => String::new(),
        [line] => format!("{indent}\"\"\"{}\"\"\"\n", shown(line)),
        [first, rest @ ..] => {
            let mut text = format!("{indent}\"\"\"{}\n", shown(first));
            for line in rest {
                let inner = if indent.is_empty() && !line.is_empty() {
                    " "
                } else {
                    indent
                };
                let _ = writeln!(text, "{}", format!("{inner}{}", shown(line)).trim_end());
            }
            let _ = writeln!(text, "{indent}\"\"\"");
            text
        }
    }
}

fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            harmless if printable::is_harmless(harmless) => quoted.push(harmless),
            other => {
                let _ = write!(quoted, "\\U{:08x}", u32::from(other));
            }
        }
    }
    quoted.push('"');
    quoted
}
