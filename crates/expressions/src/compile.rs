//! From the text of an expression to the tree that is evaluated.

use kube_cel::cel::Program;
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use podium_model::value::Value;

/// Longest text between `${{` and `}}`, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 4096;
/// Deepest nesting of brackets.
pub const MAX_NESTING: usize = 16;
/// Most characters of operators, such as `+` and `.`: chains of them nest without brackets.
pub const MAX_OPERATORS: usize = 100;
/// Most `? :` in one expression; these nest to the right.
const MAX_CHOICES: usize = 32;
/// Stack of the thread on which heavy expressions are parsed and computed. When it is not optimised, the CEL crate takes
/// some 140 KiB for each bracket and 20 KiB for each operator, and a server's thread has 2 MiB.
const HEAVY_STACK: usize = 32 * 1024 * 1024;
/// Most brackets of an expression that is not heavy.
const PLAIN_NESTING: usize = 3;
/// Most operators of an expression that is not heavy.
const PLAIN_OPERATORS: usize = 20;
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
    /// It is nested deeper than [`MAX_NESTING`], or holds more operators than [`MAX_OPERATORS`].
    #[error("the expression is nested deeper than {MAX_NESTING} brackets or {MAX_OPERATORS} operators")]
    TooDeep,
    /// Its comprehensions are nested deeper than [`MAX_COMPREHENSIONS`].
    #[error("list functions are nested deeper than {MAX_COMPREHENSIONS}")]
    TooManyComprehensions,
    /// The parser could not do its work.
    #[error("the expression cannot be parsed on this machine: {0}")]
    Parser(String),
    /// `${{` without `}}`.
    #[error("`${{{{` has no matching `}}}}`")]
    Unclosed,
}

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Step {
    /// `.name` or `["name"]`.
    Key(String),
    /// `[0]`.
    Item(String),
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
    /// The keys of all steps, when none is computed.
    pub(crate) fixed: Option<Vec<String>>,
}

impl Path {
    fn new(root: String, steps: Vec<Step>) -> Self {
        let fixed = steps
            .iter()
            .map(|step| match step {
                Step::Key(key) | Step::Item(key) => Some(key.clone()),
                Step::Computed(_) => None,
            })
            .collect();
        Self { root, steps, fixed }
    }
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
        heavy: bool,
    },
}

/// Parses the text between `${{` and `}}`.
pub(crate) fn compile(text: &str) -> Result<Tree, ExpressionError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(ExpressionError::TooLong(text.len()));
    }
    let heavy = bound_nesting(text)?;
    with_stack(heavy, || parse(text, heavy)).unwrap_or_else(|reason| Err(ExpressionError::Parser(reason)))
}

/// Runs `work`, on a thread with enough stack when it is heavy.
pub(crate) fn with_stack<T: Send>(heavy: bool, work: impl FnOnce() -> T + Send) -> Result<T, String> {
    if !heavy {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(HEAVY_STACK)
            .spawn_scoped(scope, work)
            .map_err(|error| error.to_string())?
            .join()
            .map_err(|_| "it gave up".to_owned())
    })
}

fn parse(text: &str, heavy: bool) -> Result<Tree, ExpressionError> {
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
    tree(program.expression(), 0, heavy)
}

/// Bounds the parser's recursion before it runs: brackets, and the operators that nest to the right without any.
/// Answers whether the expression is heavy.
fn bound_nesting(text: &str) -> Result<bool, ExpressionError> {
    let mut depth = 0usize;
    let mut deepest = 0usize;
    let mut choices = 0usize;
    let mut operators = 0usize;
    let mut quote = None;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            // What stands in quotes nests nothing, and closes nothing either.
            (Some(_), b'\\') => {
                bytes.next();
            }
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            (None, b'?') => choices += 1,
            (None, b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' | b'&' | b'|' | b'.') => {
                operators += 1;
            }
            (Some(_) | None, _) => {}
        }
        if depth > MAX_NESTING || choices > MAX_CHOICES || operators > MAX_OPERATORS {
            return Err(ExpressionError::TooDeep);
        }
        deepest = deepest.max(depth);
    }
    Ok(deepest > PLAIN_NESTING || operators > PLAIN_OPERATORS)
}

fn tree(expression: &IdedExpr, depth: usize, heavy: bool) -> Result<Tree, ExpressionError> {
    if depth > MAX_OPERATORS {
        return Err(ExpressionError::TooDeep);
    }
    if let Expr::Select(SelectExpr {
        operand,
        field,
        test: true,
    }) = &expression.expr
        && let Some(mut path) = path_of(operand, depth, heavy)?
    {
        path.steps.push(Step::Key(field.clone()));
        return Ok(Tree::Has(Path::new(path.root, path.steps)));
    }
    if let Some(path) = path_of(expression, depth, heavy)? {
        return Ok(Tree::Path(path));
    }
    match &expression.expr {
        Expr::Literal(literal) => match literal_value(literal) {
            Some(value) => Ok(Tree::Literal(value)),
            None => computation(expression, heavy),
        },
        Expr::Call(CallExpr {
            func_name,
            target: None,
            args,
        }) if func_name == operators::ADD && args.len() == 2 => Ok(Tree::Add(
            Box::new(tree(&args[0], depth + 1, heavy)?),
            Box::new(tree(&args[1], depth + 1, heavy)?),
        )),
        Expr::Call(CallExpr {
            func_name,
            target: None,
            args,
        }) if func_name == operators::CONDITIONAL && args.len() == 3 => Ok(Tree::Conditional(
            Box::new(tree(&args[0], depth + 1, heavy)?),
            Box::new(tree(&args[1], depth + 1, heavy)?),
            Box::new(tree(&args[2], depth + 1, heavy)?),
        )),
        Expr::List(list) if list.optional_indices.is_empty() => Ok(Tree::List(
            list.elements
                .iter()
                .map(|item| tree(item, depth + 1, heavy))
                .collect::<Result<_, _>>()?,
        )),
        Expr::Map(map) => {
            let mut entries = Vec::with_capacity(map.entries.len());
            for entry in &map.entries {
                let EntryExpr::MapEntry(entry) = &entry.expr else {
                    return computation(expression, heavy);
                };
                if entry.optional {
                    return computation(expression, heavy);
                }
                entries.push((
                    tree(&entry.key, depth + 1, heavy)?,
                    tree(&entry.value, depth + 1, heavy)?,
                ));
            }
            Ok(Tree::Map(entries))
        }
        _ => computation(expression, heavy),
    }
}

/// The expression as a path, when it is one from its root on.
fn path_of(expression: &IdedExpr, depth: usize, heavy: bool) -> Result<Option<Path>, ExpressionError> {
    let mut reversed = Vec::new();
    let mut current = expression;
    loop {
        match &current.expr {
            Expr::Ident(name) => {
                reversed.reverse();
                return Ok(Some(Path::new(name.clone(), reversed)));
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
                    Expr::Literal(LiteralValue::Int(number)) => Step::Item(number.inner().to_string()),
                    _ => Step::Computed(Box::new(tree(&args[1], depth + 1, heavy)?)),
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

fn computation(expression: &IdedExpr, heavy: bool) -> Result<Tree, ExpressionError> {
    let mut paths = Vec::new();
    let mut lists = false;
    collect(expression, &mut Vec::new(), 0, 0, &mut paths, &mut lists)?;
    // A path that brings the whole of something comes before those that bring parts of it.
    paths.sort_by_key(|path| path.steps.len());
    let mut expression = expression.clone();
    if lists {
        in_order(&mut expression);
    }
    Ok(Tree::Computation {
        expression: Box::new(expression),
        paths,
        lists,
        heavy,
    })
}

/// Name of the function that gives the keys of a map in order; no expression can write it.
pub(crate) const KEYS_IN_ORDER: &str = "(keys in order)";

/// Lets list functions run over the keys of maps in order: the CEL crate keeps maps hashed, and the same expression must
/// give the same list each time.
fn in_order(expression: &mut IdedExpr) {
    match &mut expression.expr {
        Expr::Call(call) => {
            call.target.iter_mut().for_each(|target| in_order(target));
            call.args.iter_mut().for_each(in_order);
        }
        Expr::Comprehension(comprehension) => {
            for part in [
                &mut comprehension.iter_range,
                &mut comprehension.accu_init,
                &mut comprehension.loop_cond,
                &mut comprehension.loop_step,
                &mut comprehension.result,
            ] {
                in_order(part);
            }
            let range = std::mem::take(&mut comprehension.iter_range);
            comprehension.iter_range = IdedExpr {
                id: range.id,
                expr: Expr::Call(CallExpr {
                    func_name: KEYS_IN_ORDER.to_owned(),
                    target: None,
                    args: vec![range],
                }),
            };
        }
        Expr::List(list) => list.elements.iter_mut().for_each(in_order),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    in_order(&mut entry.key);
                    in_order(&mut entry.value);
                }
            }
        }
        Expr::Select(select) => in_order(&mut select.operand),
        Expr::Struct(_) | Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
    }
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
    if depth > MAX_OPERATORS {
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
    // Only the names in a path are of use here, so whatever it computes counts as plain.
    if let Some(mut path) = path_of(expression, depth, false)? {
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
        // The CEL crate takes an item out of a list by itself, so it is given the whole list.
        let whole = path.steps.iter().position(|step| matches!(step, Step::Item(_)));
        path.steps.truncate(whole.unwrap_or(usize::MAX));
        paths.push(Path::new(path.root, path.steps));
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
                Step::Key(key) | Step::Item(key) => keys.push(key.clone()),
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
