//! CEL between `${{` and `}}`, the language of modules.
//!
//! **What it guarantees.**
//! 1. An expression is parsed once; its size, nesting and the depth of its comprehensions are bounded then
//!    ([`MAX_EXPRESSION_BYTES`], [`MAX_NESTING`], [`MAX_COMPREHENSIONS`]), and the lists it runs over are bounded when
//!    it is evaluated ([`MAX_LIST`]), so no expression runs long.
//! 2. It sees nothing but what its [`Scope`] hands out, path by path. [`Template::paths`] lists those paths, so a
//!    module can be checked before it is used.
//! 3. Secrets pass through unseen: a path, `+` on texts, list and map literals and the branches of `a ? b : c` carry
//!    them on; every other use of a secret is an error.
//! 4. What is not known yet stays symbolic: a path gives a reference, texts give a concatenation, and anything else
//!    waits as [`podium_model::value::Value::Deferred`] and is evaluated by [`substitute`] when its parts are known.
//!
//! **Rejected.** Evaluating everything with the CEL crate: it has neither a value that cannot be looked at nor one that
//! is not known yet, no cost limit and no cancellation. So this crate walks the syntax tree itself for the part that
//! carries values, and hands only plain computations to the crate.

mod compile;
mod evaluate;
mod scope;
mod template;

pub use compile::{
    ExpressionError, MAX_COMPREHENSIONS, MAX_EXPRESSION_BYTES, MAX_NESTING, MAX_OPERATORS, PathUse, Step,
};
pub use evaluate::{EvaluationError, MAX_LIST, substitute, substitute_in_place};
pub use scope::{LookupError, Scope, descend};
pub use template::{Template, TemplateTree};
