//! Each `unsafe` block and implementation has its SAFETY line. Clippy asks for that, too, where it compiles the code:
//! here it is asked for on Windows, in the fuzz targets and in benchmarks as well.

use crate::{CODE, UNSAFE_WORD, rust};

/// Whether a line of code begins a block or an implementation that needs a SAFETY line.
fn begins(code: &str) -> bool {
    code.split(UNSAFE_WORD).skip(1).any(|rest| rest.starts_with(" {") || rest.starts_with(" impl"))
}

/// The lines that begin something unsafe, without a SAFETY line in the comment above their statement.
fn undocumented(text: &str) -> Vec<usize> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_aside = |line: &&str| line.starts_with("//") || line.starts_with("#[");
    let is_documented = |at: usize| {
        // A statement that rustfmt has broken behind its `=` begins on the line before.
        let start = if at > 0 && lines[at - 1].ends_with(" =") { at - 1 } else { at };
        lines[..start].iter().rev().take_while(|line| is_aside(line)).any(|line| line.starts_with("// SAFETY: "))
    };
    let code = |at: &usize| lines[*at].split("//").next().unwrap_or_default();
    (0..lines.len()).filter(|at| begins(code(at)) && !is_documented(*at)).map(|at| at + 1).collect()
}

#[test]
fn everything_unsafe_says_why_it_is_sound() {
    let (mut blocks, mut wrong) = (0, Vec::new());
    for (path, text) in rust(&CODE) {
        blocks += text.lines().filter(|line| begins(line)).count();
        wrong.extend(undocumented(&text).into_iter().map(|line| format!("{}:{line}", path.display())));
    }
    assert!(blocks > 500 && wrong.is_empty(), "of {blocks}: {wrong:#?}");
}

#[test]
fn a_block_without_a_reason_is_found() {
    let block = format!("{UNSAFE_WORD} {{ f() }};");
    for (text, expected) in [
        (format!("let a = {block}"), vec![1]),
        (format!("// SAFETY: it is sound.\nlet a = {block}"), vec![]),
        (format!("// SAFETY: it is sound.\n// Really.\nlet a =\n    {block}"), vec![]),
        (format!("// SAFETY: it is sound.\nlet a = {block}\nlet b = {block}"), vec![3]),
        (format!("// It is sound.\nlet a = {block}"), vec![2]),
        (format!("{UNSAFE_WORD} impl Send for It {{}}"), vec![1]),
    ] {
        assert_eq!(undocumented(&text), expected, "{text}");
    }
}
