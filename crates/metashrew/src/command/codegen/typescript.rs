//! The client in TypeScript.

use std::fmt::Write as _;

use serde_json::Value;

use super::doubles::Doubles;
use super::model::{Api, Declared, Field, Form, Object, Type, View};
use super::names::{self, Taken};
use super::remarks;
use crate::printable;

/// What every client has.
const RUNTIME: &str = include_str!("runtime.ts");

/// Members that an object has anyway, or that mean something to the language.
const RESERVED: [&str; 9] = [
    "constructor",
    "then",
    "toString",
    "toLocaleString",
    "valueOf",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toJSON",
];

/// Classes and other names of the generated part.
const CLASSES: [&str; 5] = ["Views", "Watch", "Client", "Storage", "doubles"];

pub(super) fn render(api: &Api) -> String {
    let mut taken = Taken::with(names::words(RUNTIME).chain(CLASSES));
    let names = api.types.iter().map(|declared| taken.take(&declared.name));
    let names: Vec<_> = names.collect();
    let types = Types {
        doubles: Doubles::of(&api.types, &names),
        names: &names,
    };
    let mut text = comment("", &remarks::file(api, "typescript"));
    text.push_str("/* eslint-disable */\n\n");
    text.push_str(RUNTIME);
    for (declared, name) in api.types.iter().zip(&names) {
        text.push_str(&types.declare(declared, name));
    }
    let mut taken = Taken::with(RESERVED);
    let views: Vec<_> = api
        .views
        .iter()
        .map(|view| (view, taken.take(&names::plain(&view.name))))
        .collect();
    let mut classes =
        "\n/** The guest's views: what each answers about the state after a block. */\n".to_owned();
    class(&mut classes, "Views", &views, |view, name| {
        types.call(view, name)
    });
    classes.push_str(
        "\n/** Subscriptions to the guest's views: what each answers, whenever that changes. */\n",
    );
    class(&mut classes, "Watch", &views, |view, name| {
        types.watch(view, name)
    });
    if types.doubles.is_named() {
        text.push_str(&types.declare_doubles());
    }
    text.push_str(&classes);
    text.push_str(&client(api));
    text
}

fn class(
    text: &mut String,
    name: &str,
    views: &[(&View, String)],
    method: impl Fn(&View, &str) -> String,
) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "export class {name} {{
  readonly #client: BaseClient;

  constructor(client: BaseClient) {{
    this.#client = client;
  }}
"
    );
    for (view, name) in views {
        text.push('\n');
        text.push_str(&comment("  ", &remarks::view(view)));
        text.push_str(&method(view, name));
    }
    text.push_str("}\n");
}

fn client(api: &Api) -> String {
    let storage: Vec<_> = api.storage.iter().map(|name| string(name)).collect();
    let storage = if storage.is_empty() {
        "string".to_owned()
    } else {
        storage.join(" | ")
    };
    format!(
        "
/** The names of the guest's tables. */
export type Storage = {storage};

/** Asks and follows a server of the guest. */
export class Client extends BaseClient<Storage> {{
  readonly views: Views;
  readonly watch: Watch;

  constructor(options: ClientOptions = {{}}) {{
    super(options);
    this.views = new Views(this);
    this.watch = new Watch(this);
  }}
}}
"
    )
}

/// The declared types.
struct Types<'a> {
    names: &'a [String],
    doubles: Doubles<'a>,
}

impl Types<'_> {
    /// Where those have doubles that have any.
    fn declare_doubles(&self) -> String {
        let mut text = String::new();
        for (at, name) in self.names.iter().enumerate() {
            if let Some(doubles) = self.doubles.declared(at) {
                let _ = writeln!(text, "  [{}]: {doubles},", string(name));
            }
        }
        let doc = comment("", &["Where these types have doubles.".to_owned()]);
        format!("\n{doc}const doubles: {{ readonly [type: string]: Doubles }} = {{\n{text}}};\n")
    }

    fn declare(&self, declared: &Declared, name: &str) -> String {
        let doc = comment("", &remarks::lines(&declared.doc));
        let Type::Object(Object { fields, is_open }) = &declared.ty else {
            return format!(
                "\n{doc}export type {name} = {};\n",
                self.write(&declared.ty)
            );
        };
        if fields.is_empty() && !is_open {
            return format!("\n{doc}export type {name} = Record<string, never>;\n");
        }
        let mut text = format!("\n{doc}export interface {name} {{\n");
        for Field {
            name,
            doc,
            ty,
            is_required,
        } in fields
        {
            let mark = if *is_required { "" } else { "?" };
            text.push_str(&comment("  ", &remarks::lines(doc)));
            let _ = writeln!(text, "  readonly {}{mark}: {};", key(name), self.write(ty));
        }
        if *is_open {
            text.push_str("  readonly [member: string]: unknown;\n");
        }
        text.push_str("}\n");
        text
    }

    fn write(&self, ty: &Type) -> String {
        match ty {
            Type::Unknown | Type::Object(_) => "unknown".to_owned(),
            Type::Null => "null".to_owned(),
            Type::Boolean => "boolean".to_owned(),
            Type::SmallInteger | Type::Number => "number".to_owned(),
            Type::Integer => "Integer".to_owned(),
            Type::Text => "string".to_owned(),
            Type::Literal(Value::String(text)) => string(text),
            Type::Literal(value) => value.to_string(),
            Type::List(item) if matches!(**item, Type::Union(_)) => {
                format!("readonly ({})[]", self.write(item))
            }
            Type::List(item) if matches!(**item, Type::List(_) | Type::Tuple(_)) => {
                format!("readonly ({})[]", self.write(item))
            }
            Type::List(item) => format!("readonly {}[]", self.write(item)),
            Type::Tuple(items) => format!("readonly [{}]", self.all(items, ", ")),
            Type::Map(of) => format!("{{ readonly [key: string]: {} }}", self.write(of)),
            Type::Union(parts) => self.all(parts, " | "),
            Type::Declared(at) => self.names.get(*at).cloned().unwrap_or_default(),
        }
    }

    fn all(&self, types: &[Type], between: &str) -> String {
        let types: Vec<_> = types.iter().map(|ty| self.write(ty)).collect();
        types.join(between)
    }

    /// The parameter of an input, and what is sent of it.
    fn input(&self, form: &Form) -> (String, &'static str) {
        match form {
            Form::Any => ("input: Input, ".to_owned(), "input"),
            Form::Nothing => (String::new(), "\"\""),
            Form::Bytes => ("input: Uint8Array, ".to_owned(), "input"),
            Form::Text => ("input: string, ".to_owned(), "input"),
            Form::Json(ty) => (format!("input: {}, ", self.write(ty)), "{ json: input }"),
        }
    }

    /// The type of an answer, and how it is made of bytes.
    fn output(&self, form: &Form, bytes: &str) -> (String, String) {
        match form {
            Form::Any => ("Output".to_owned(), format!("new Output({bytes})")),
            Form::Nothing | Form::Bytes => ("Uint8Array".to_owned(), bytes.to_owned()),
            Form::Text => ("string".to_owned(), format!("decodeText({bytes})")),
            Form::Json(ty) => {
                let doubles = self.doubles.within(ty);
                let doubles = doubles.map_or_else(String::new, |it| format!(", {it}"));
                let ty = self.write(ty);
                let decoded = format!("decodeJson({bytes}{doubles}) as {ty}");
                (ty, decoded)
            }
        }
    }

    fn call(&self, view: &View, name: &str) -> String {
        let (parameter, sent) = self.input(&view.input);
        let view_name = string(&view.name);
        let bytes = format!("await this.#client.view({view_name}, {sent}, block, options)");
        let (ty, answer) = self.output(&view.output, &bytes);
        format!(
            "  async {name}({parameter}block: BlockId = \"latest\", options: CallOptions = {{}}): Promise<{ty}> {{
    return {answer};
  }}
"
        )
    }

    fn watch(&self, view: &View, name: &str) -> String {
        let (parameter, sent) = self.input(&view.input);
        let view_name = string(&view.name);
        let (ty, answer) = self.output(&view.output, "answer");
        format!(
            "  {name}({parameter}options: FollowOptions = {{}}): Subscription<ViewEvent<{ty}>> {{
    return this.#client.watchView({view_name}, {sent}, (answer) => {answer}, options);
  }}
"
        )
    }
}

/// A comment of lines, empty if there are none.
fn comment(indent: &str, lines: &[String]) -> String {
    // It ends where we end it, and tells the compiler nothing.
    let shown = |line: &String| line.replace("*/", "*\\/").replace("@ts-", "@ ts-");
    match lines {
        [] => String::new(),
        [line] => format!("{indent}/** {} */\n", shown(line)),
        lines => {
            let mut text = format!("{indent}/**\n");
            for line in lines {
                let _ = writeln!(text, "{}", format!("{indent} * {}", shown(line)).trim_end());
            }
            text.push_str(indent);
            text.push_str(" */\n");
            text
        }
    }
}

/// A member's name.
fn key(name: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    if name.chars().all(is_plain)
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    {
        return name.to_owned();
    }
    string(name)
}

fn string(text: &str) -> String {
    printable::json(&Value::from(text).to_string()).into_owned()
}
