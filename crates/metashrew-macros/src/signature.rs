//! What a function takes and returns, as far as an attribute must know it.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Error, FnArg, Pat, Result, ReturnType, Signature, Type};

/// Refuses what no export can be: a method, a generic, an async or a foreign function.
pub(crate) fn check(signature: &Signature, attribute: &str) -> Result<()> {
    let refuse = |at: &dyn Spanned, what: &str| {
        Err(Error::new(
            at.span(),
            format!("`#[{attribute}]` stands before a plain function, not {what}"),
        ))
    };
    if let Some(asyncness) = &signature.asyncness {
        return refuse(asyncness, "an `async` one");
    }
    if let Some(unsafety) = &signature.unsafety {
        return refuse(unsafety, "an `unsafe` one");
    }
    if let Some(abi) = &signature.abi {
        return refuse(
            abi,
            "one with an ABI of its own: the attribute makes the export",
        );
    }
    let parameters = &signature.generics.params;
    let generic = parameters
        .iter()
        .find(|parameter| !matches!(parameter, syn::GenericParam::Lifetime(_)));
    if let Some(generic) = generic {
        return refuse(generic, "a generic one");
    }
    let mut types = parameters_of(signature);
    if let Some((_, generic)) = types.find(|(_, ty)| matches!(ty, Type::ImplTrait(_))) {
        return refuse(generic, "a generic one");
    }
    if let Some(FnArg::Receiver(receiver)) = signature.inputs.first() {
        return refuse(receiver, "a method");
    }
    Ok(())
}

/// The types of a function's parameters.
pub(crate) fn parameters(signature: &Signature) -> Vec<(&Pat, &Type)> {
    parameters_of(signature).collect()
}

fn parameters_of(signature: &Signature) -> impl Iterator<Item = (&Pat, &Type)> {
    let parameters = signature.inputs.iter();
    parameters.filter_map(|parameter| match parameter {
        FnArg::Typed(typed) => Some((&*typed.pat, &*typed.ty)),
        FnArg::Receiver(_) => None,
    })
}

/// Whether a type is written `u32`.
pub(crate) fn is_height(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.is_ident("u32"))
}

/// What is decoded for a parameter, and whether the function takes a reference to it.
/// Bytes and text are slices of the input itself.
pub(crate) fn decoded(ty: &Type) -> (&Type, bool) {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => match &*reference.elem {
            Type::Slice(_) => (ty, false),
            Type::Path(path) if path.path.is_ident("str") => (ty, false),
            owned => (owned, true),
        },
        _ => (ty, false),
    }
}

/// A type as it is written in a place that has none of the function's lifetimes.
pub(crate) fn without_lifetimes(ty: &Type) -> TokenStream {
    elided(ty.to_token_stream())
}

fn elided(tokens: TokenStream) -> TokenStream {
    let mut after_quote = false;
    let tokens = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(name) if after_quote => {
            after_quote = false;
            let name = if name == "static" {
                name
            } else {
                Ident::new("_", name.span())
            };
            TokenTree::Ident(name)
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), elided(group.stream()));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        other => {
            after_quote = matches!(&other, TokenTree::Punct(punct) if punct.as_char() == '\'');
            other
        }
    });
    tokens.collect()
}

/// The name of a parameter that is one.
pub(crate) fn name(pattern: &Pat) -> Option<&Ident> {
    match pattern {
        Pat::Ident(pattern) => Some(&pattern.ident),
        _ => None,
    }
}

/// What a function returns.
#[derive(Clone, Copy)]
pub(crate) enum Returned<'a> {
    Nothing,
    Value(&'a Type),
    /// A `Result`; of what, if it says.
    Result(Option<&'a Type>),
}

impl<'a> Returned<'a> {
    pub(crate) fn of(signature: &'a Signature) -> Self {
        let ReturnType::Type(_, ty) = &signature.output else {
            return Self::Nothing;
        };
        match &**ty {
            Type::Tuple(tuple) if tuple.elems.is_empty() => Self::Nothing,
            Type::Path(path) => match path.path.segments.last() {
                Some(last) if last.ident == "Result" => Self::Result(first_type(&last.arguments)),
                _ => Self::Value(ty),
            },
            _ => Self::Value(ty),
        }
    }

    /// The type of what it answers when all is well.
    pub(crate) fn answer(self) -> Option<&'a Type> {
        match self {
            Self::Nothing => None,
            Self::Value(ty) => Some(ty),
            Self::Result(ty) => ty,
        }
    }
}

fn first_type(arguments: &syn::PathArguments) -> Option<&Type> {
    let syn::PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Whether a type is written `&[u8]`, and what else means bytes or text.
pub(crate) fn plain_name(ty: &Type) -> Option<&'static str> {
    match crate::docs::type_name(ty).as_str() {
        "()" => Some("nothing"),
        "&[u8]" | "Vec<u8>" | "Arc<Vec<u8>>" => Some("bytes"),
        "&str" | "&'static str" | "String" => Some("text"),
        _ => None,
    }
}
