//! The one page, as HTML. Everything that is not written here is escaped.

use std::fmt;

use super::store::Note;
use super::{NAME_LIMIT, NOTE_LIMIT};

/// Nothing may be loaded or run, and the form goes nowhere else: escaping is not the only guard.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const STYLE: &str = "
:root { color-scheme: light dark; --paper: #faf9f7; --sheet: #fff; --ink: #1d2327; --faint: #5d666e; --line: #dcdad5;
  --accent: #1f5f8b; --on-accent: #fff; --wrong: #a3261b; }
@media (prefers-color-scheme: dark) { :root { --paper: #15191c; --sheet: #1e2428; --ink: #e6e8ea; --faint: #9aa4ac;
  --line: #343c42; --accent: #7db9e0; --on-accent: #10202b; --wrong: #f0938b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 42rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
form, li { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
label { display: block; font-size: .875rem; color: var(--faint); }
input, textarea { display: block; width: 100%; margin: .25rem 0 .75rem; padding: .5rem .625rem; font: inherit;
  color: inherit; background: var(--paper); border: 1px solid var(--line); border-radius: .375rem; }
textarea { min-height: 5.5rem; resize: vertical; }
button { font: inherit; font-weight: 600; padding: .5rem 1.25rem; min-height: 2.75rem; border: 0; border-radius: .375rem;
  background: var(--accent); color: var(--on-accent); cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.problem { color: var(--wrong); margin: 0 0 .75rem; }
ul { list-style: none; margin: 1.5rem 0 0; padding: 0; display: grid; gap: .75rem; }
li p { margin: 0 0 .375rem; white-space: pre-wrap; overflow-wrap: anywhere; }
li small, .empty { color: var(--faint); overflow-wrap: anywhere; }
@media (min-width: 40rem) { main { padding-top: 3rem; } h1 { font-size: 2rem; } button { min-width: 8rem; } }
";

/// What the page shows.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    pub(super) notes: &'a [Note],
    /// What the field for the name holds.
    pub(super) name: &'a str,
    /// What the field for the note holds.
    pub(super) text: &'a str,
    /// What was wrong with the last try.
    pub(super) problem: Option<&'a str>,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = Escaped(self.title);
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n\
             <form method=\"post\" action=\"/notes\">\n"
        )?;
        if let Some(problem) = self.problem {
            writeln!(
                out,
                "<p class=\"problem\" role=\"alert\">{}</p>",
                Escaped(problem)
            )?;
        }
        write!(
            out,
            "<label for=\"name\">Your name</label>\n\
             <input id=\"name\" name=\"name\" maxlength=\"{NAME_LIMIT}\" autocomplete=\"name\" value=\"{}\">\n\
             <label for=\"text\">Note</label>\n\
             <textarea id=\"text\" name=\"text\" maxlength=\"{NOTE_LIMIT}\" required>\n{}</textarea>\n\
             <button>Keep it</button>\n</form>\n",
            Escaped(self.name),
            Escaped(self.text)
        )?;
        if self.notes.is_empty() {
            writeln!(out, "<p class=\"empty\">No notes yet.</p>")?;
        } else {
            writeln!(out, "<ul>")?;
            for note in self.notes {
                let author = if note.author.is_empty() {
                    "somebody"
                } else {
                    &note.author
                };
                writeln!(
                    out,
                    "<li><p>{}</p><small>{}, {}</small></li>",
                    Escaped(&note.text),
                    Escaped(author),
                    Escaped(&note.written)
                )?;
            }
            writeln!(out, "</ul>")?;
        }
        out.write_str("</main>\n</body>\n</html>\n")
    }
}

/// Text that is safe between tags and inside quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            out.write_str(plain)?;
            out.write_str(match special.as_bytes()[0] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &special[1..];
        }
        out.write_str(rest)
    }
}
