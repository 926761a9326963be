//! From the text of an expression to the tree that is evaluated.

use kube_cel::cel::Program;
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use podium_model::value::Value;

/// Longest text between `${{` and `}}`, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 4096;
/// Deepest nesting of an expression.
pub const MAX_NESTING: usize = 32;
/// Deepest nesting of `all`, `exists`, `map`, `filter` and the like.
pub const MAX_COMPREHENSIONS: usize = 2;

/// An expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is not CEL.
    #[error("the expression is not CEL: {0}")]
    Syntax(String),
    /// It is longer than [`MAX_EXPRESSION_BYTES`].
    #[error("the expression has {0} bytes, more than {MAX_EXPRESSION_BYTES}")]
    TooLong(usize),
    /// It is nested deeper than [`MAX_NESTING`].
    #[error("the expression is nested deeper than {MAX_NESTING}")]
    TooDeep,
    /// Its comprehensions are nested deeper than [`MAX_COMPREHENSIONS`].
    #[error("list functions are nested deeper than {MAX_COMPREHENSIONS}")]
    TooManyComprehensions,
    /// `${{` without `}}`.
    #[error("`${{{{` has no matching `}}}}`")]
    Unclosed,
}

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Step {
    /// `.name` or `["name"]`.
    Key(String),
    /// `[expression]`.
    Computed(Box<Tree>),
}

/// A path as an expression uses it: the root's name, and its steps as far as they are fixed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PathUse {
    /// The root's name.
    pub root: String,
    /// The steps before the first computed one.
    pub keys: Vec<String>,
    /// Whether a computed step follows.
    pub computed: bool,
}

/// A path.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    pub(crate) root: String,
    pub(crate) steps: Vec<Step>,
}

/// What is evaluated.
#[derive(Clone, Debug)]
pub enum Tree {
    #[doc(hidden)]
    Literal(Value),
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "opaque outside this crate")]
    Path(Path),
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "opaque outside this crate")]
    Has(Path),
    #[doc(hidden)]
    Add(Box<Tree>, Box<Tree>),
    #[doc(hidden)]
    List(Vec<Tree>),
    #[doc(hidden)]
    Map(Vec<(Tree, Tree)>),
    #[doc(hidden)]
    Conditional(Box<Tree>, Box<Tree>, Box<Tree>),
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "opaque outside this crate")]
    Computation {
        expression: Box<IdedExpr>,
        paths: Vec<Path>,
        lists: bool,
    },
}

/// Parses the text between `${{` and `}}`.
pub(crate) fn compile(text: &str) -> Result<Tree, ExpressionError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(ExpressionError::TooLong(text.len()));
    }
    // Brackets bound the parser's recursion before it runs.
    let mut depth = 0usize;
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_NESTING {
            return Err(ExpressionError::TooDeep);
        }
    }
    let program = Program::compile(text).map_err(|error| {
        let first = error.to_string();
        ExpressionError::Syntax(
            first
                .lines()
                .next()
                .unwrap_or("it cannot be parsed")
                .trim()
                .to_owned(),
        )
    })?;
    tree(program.expression(), 0)
}

fn tree(expression: &IdedExpr, depth: usize) -> Result<Tree, ExpressionError> {
    // A chain of operators nests without brackets; ten times the bracket limit is far from the stack's end.
    if depth > MAX_NESTING * 10 {
        return Err(ExpressionError::TooDeep);
    }
    if let Expr::Select(SelectExpr {
        operand,
        field,
        test: true,
    }) = &expression.expr
    {
        if let Some(mut path) = path_of(operand, depth)? {
            path.steps.push(Step::Key(field.clone()));
            return Ok(Tree::Has(path));
        }
    }
    if let Some(path) = path_of(expression, depth)? {
        return Ok(Tree::Path(path));
    }
    match &expression.expr {
        Expr::Literal(literal) => match literal_value(literal) {
            Some(value) => Ok(Tree::Literal(value)),
            None => computation(expression),
        },
        Expr::Call(CallExpr {
            func_name,
            target: None,
            args,
        }) if func_name == operators::ADD && args.len() == 2 => Ok(Tree::Add(
            Box::new(tree(&args[0], depth + 1)?),
            Box::new(tree(&args[1], depth + 1)?),
        )),
        Expr::Call(CallExpr {
            func_name,
            target: None,
            args,
        }) if func_name == operators::CONDITIONAL && args.len() == 3 => Ok(Tree::Conditional(
            Box::new(tree(&args[0], depth + 1)?),
            Box::new(tree(&args[1], depth + 1)?),
            Box::new(tree(&args[2], depth + 1)?),
        )),
        Expr::List(list) if list.optional_indices.is_empty() => Ok(Tree::List(
            list.elements
                .iter()
                .map(|item| tree(item, depth + 1))
                .collect::<Result<_, _>>()?,
        )),
        Expr::Map(map) => {
            let mut entries = Vec::with_capacity(map.entries.len());
            for entry in &map.entries {
                let EntryExpr::MapEntry(entry) = &entry.expr else {
                    return computation(expression);
                };
                if entry.optional {
                    return computation(expression);
                }
                entries.push((tree(&entry.key, depth + 1)?, tree(&entry.value, depth + 1)?));
            }
            Ok(Tree::Map(entries))
        }
        _ => computation(expression),
    }
}

/// The expression as a path, when it is one from its root on.
fn path_of(expression: &IdedExpr, depth: usize) -> Result<Option<Path>, ExpressionError> {
    let mut reversed = Vec::new();
    let mut current = expression;
    loop {
        match &current.expr {
            Expr::Ident(name) => {
                reversed.reverse();
                return Ok(Some(Path {
                    root: name.clone(),
                    steps: reversed,
                }));
            }
            Expr::Select(SelectExpr {
                operand,
                field,
                test: false,
            }) => {
                reversed.push(Step::Key(field.clone()));
                current = operand;
            }
            Expr::Call(CallExpr {
                func_name,
                target: None,
                args,
            }) if func_name == operators::INDEX && args.len() == 2 => {
                reversed.push(match &args[1].expr {
                    Expr::Literal(LiteralValue::String(text)) => Step::Key(text.inner().to_owned()),
                    Expr::Literal(LiteralValue::Int(number)) => Step::Key(number.inner().to_string()),
                    _ => Step::Computed(Box::new(tree(&args[1], depth + 1)?)),
                });
                current = &args[0];
            }
            _ => return Ok(None),
        }
    }
}

fn literal_value(literal: &LiteralValue) -> Option<Value> {
    Some(match literal {
        LiteralValue::Boolean(flag) => Value::Bool(*flag.inner()),
        LiteralValue::Int(number) => Value::Number((*number.inner()).into()),
        LiteralValue::UInt(number) => Value::Number((*number.inner()).into()),
        LiteralValue::Double(number) => Value::Number(serde_json::Number::from_f64(*number.inner())?),
        LiteralValue::String(text) => Value::String(text.inner().to_owned()),
        LiteralValue::Null => Value::Null,
        LiteralValue::Bytes(_) => return None,
    })
}

fn computation(expression: &IdedExpr) -> Result<Tree, ExpressionError> {
    let mut paths = Vec::new();
    let mut lists = false;
    collect(expression, &mut Vec::new(), 0, 0, &mut paths, &mut lists)?;
    Ok(Tree::Computation {
        expression: Box::new(expression.clone()),
        paths,
        lists,
    })
}

/// Collects the paths that a computation reads, leaving out the variables that its comprehensions bind.
fn collect(
    expression: &IdedExpr,
    bound: &mut Vec<String>,
    comprehensions: usize,
    depth: usize,
    paths: &mut Vec<Path>,
    lists: &mut bool,
) -> Result<(), ExpressionError> {
    if depth > MAX_NESTING * 10 {
        return Err(ExpressionError::TooDeep);
    }
    if comprehensions > MAX_COMPREHENSIONS {
        return Err(ExpressionError::TooManyComprehensions);
    }
    if let Expr::Select(SelectExpr {
        operand, test: true, ..
    }) = &expression.expr
    {
        return collect(operand, bound, comprehensions, depth + 1, paths, lists);
    }
    if let Some(path) = path_of(expression, depth)? {
        if bound.contains(&path.root) {
            return Ok(());
        }
        if path.steps.iter().any(|step| matches!(step, Step::Computed(_))) {
            if let Expr::Call(call) = &expression.expr {
                for argument in &call.args {
                    collect(argument, bound, comprehensions, depth + 1, paths, lists)?;
                }
                return Ok(());
            }
            if let Expr::Select(select) = &expression.expr {
                return collect(&select.operand, bound, comprehensions, depth + 1, paths, lists);
            }
        }
        paths.push(path);
        return Ok(());
    }
    match &expression.expr {
        Expr::Call(call) => {
            if let Some(target) = &call.target {
                collect(target, bound, comprehensions, depth + 1, paths, lists)?;
            }
            for argument in &call.args {
                collect(argument, bound, comprehensions, depth + 1, paths, lists)?;
            }
        }
        Expr::Comprehension(comprehension) => {
            *lists = true;
            collect(
                &comprehension.iter_range,
                bound,
                comprehensions + 1,
                depth + 1,
                paths,
                lists,
            )?;
            let before = bound.len();
            bound.push(comprehension.iter_var.clone());
            bound.extend(comprehension.iter_var2.clone());
            bound.push(comprehension.accu_var.clone());
            for part in [
                &comprehension.accu_init,
                &comprehension.loop_cond,
                &comprehension.loop_step,
                &comprehension.result,
            ] {
                collect(part, bound, comprehensions + 1, depth + 1, paths, lists)?;
            }
            bound.truncate(before);
        }
        Expr::List(list) => {
            for element in &list.elements {
                collect(element, bound, comprehensions, depth + 1, paths, lists)?;
            }
        }
        Expr::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    collect(&entry.key, bound, comprehensions, depth + 1, paths, lists)?;
                    collect(&entry.value, bound, comprehensions, depth + 1, paths, lists)?;
                }
            }
        }
        Expr::Select(select) => collect(&select.operand, bound, comprehensions, depth + 1, paths, lists)?,
        Expr::Struct(_) => return Err(ExpressionError::Syntax("messages cannot be made here".into())),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
    Ok(())
}

impl Tree {
    /// Calls `visit` for each path that the tree reads.
    pub(crate) fn each_path<'a>(&'a self, visit: &mut dyn FnMut(&'a Path)) {
        fn steps<'a>(path: &'a Path, visit: &mut dyn FnMut(&'a Path)) {
            for step in &path.steps {
                if let Step::Computed(tree) = step {
                    tree.each_path(visit);
                }
            }
        }
        match self {
            Self::Literal(_) => {}
            Self::Path(path) | Self::Has(path) => {
                visit(path);
                steps(path, visit);
            }
            Self::Add(left, right) => {
                left.each_path(visit);
                right.each_path(visit);
            }
            Self::List(items) => {
                for item in items {
                    item.each_path(visit);
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    key.each_path(visit);
                    value.each_path(visit);
                }
            }
            Self::Conditional(condition, yes, no) => {
                condition.each_path(visit);
                yes.each_path(visit);
                no.each_path(visit);
            }
            Self::Computation { paths, .. } => {
                for path in paths {
                    visit(path);
                }
            }
        }
    }
}

impl Path {
    pub(crate) fn usage(&self) -> PathUse {
        let mut keys = Vec::new();
        for step in &self.steps {
            match step {
                Step::Key(key) => keys.push(key.clone()),
                Step::Computed(_) => {
                    return PathUse {
                        root: self.root.clone(),
                        keys,
                        computed: true,
                    };
                }
            }
        }
        PathUse {
            root: self.root.clone(),
            keys,
            computed: false,
        }
    }
}
