//! Diagnostics without colours: as `annotate_snippets` lays them out, which
//! draws a place of the policy once and not for each finding there.

use std::collections::HashMap;

use annotate_snippets::{Element, Level, Renderer};

/// What stands between the title and the notes, and what each note begins with.
type Frame = (String, String);

/// Where findings stand: the place in the policy's text, and what is said of it.
pub type Place<'r> = (usize, usize, &'r str);

#[derive(Debug)]
pub struct Plain<'r> {
    renderer: Renderer,
    frames: HashMap<Option<Place<'r>>, Frame>,
}

impl<'r> Plain<'r> {
    pub fn new(width: usize) -> Self {
        Self { renderer: Renderer::plain().term_width(width), frames: HashMap::new() }
    }

    pub fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// A diagnostic with notes: `head` and `title` make its first lines, `notes` are a word and lines each, and
    /// `snippet` is what shows the place.
    pub fn text<'s>(
        &mut self,
        head: &str,
        title: &str,
        place: Option<Place<'r>>,
        snippet: Option<Element<'s>>,
        notes: &[(&str, String)],
    ) -> String {
        let renderer = &self.renderer;
        let (above, margin) = self.frames.entry(place).or_insert_with(|| frame(renderer, snippet));
        let long: usize = notes.iter().map(|(_, lines)| lines.len() + 64).sum();
        let mut text = String::with_capacity(head.len() + title.len() + above.len() + long + 64);
        text.push_str(head);
        indented(&mut text, title, head.len());
        text.push_str(above);
        for (word, lines) in notes {
            text.push_str(margin);
            text.push_str(word);
            text.push_str(": ");
            indented(&mut text, lines, margin.len() + word.len() + 2);
        }
        text
    }
}

/// Lines, of which all but the first stand below the first one's start.
fn indented(text: &mut String, lines: &str, indent: usize) {
    for (at, line) in lines.split('\n').enumerate() {
        if at > 0 {
            text.extend(std::iter::repeat_n(' ', indent));
        }
        text.push_str(line);
        text.push('\n');
    }
}

fn frame(renderer: &Renderer, snippet: Option<Element<'_>>) -> Frame {
    const NOTE: &str = "note: x";
    let elements = snippet.into_iter().chain([Level::NOTE.message("x").into()]);
    let drawn = renderer.render(&[Level::ERROR.primary_title("x").elements(elements)]);
    let lines = drawn.split_once('\n').map_or("", |(_, lines)| lines);
    let body = lines.strip_suffix(NOTE).unwrap_or(lines);
    let (above, margin) = body.rsplit_once('\n').map_or(("", body), |(above, margin)| (above, margin));
    let above = if above.is_empty() { String::new() } else { format!("{above}\n") };
    (above, margin.to_owned())
}

#[cfg(test)]
mod tests {
    use annotate_snippets::{AnnotationKind, Snippet};

    use super::*;

    const POLICY: &str =
        "glibc = \"2.28\"\n\n[lints]\nnot_static = \"warn\"\nruns-on = [\n  \"a\",\n  \"b\",\n]\n";

    fn snippet(start: usize, end: usize, label: &str) -> Snippet<'_, annotate_snippets::Annotation<'_>> {
        let annotation = AnnotationKind::Primary.span(start..end).label(label);
        Snippet::source(POLICY).path("compat.toml").annotation(annotation)
    }

    #[test]
    fn it_is_what_the_renderer_makes() {
        let notes =
            [("note", "one".to_owned()), ("note", "two\nlines".to_owned()), ("help", "x\n\ny".to_owned())];
        let places: [Option<Place<'_>>; 5] = [
            None,
            Some((8, 14, "not above")),
            Some((0, 5, "a")),
            Some((54, 70, "all\nof it")),
            Some((70, 70, "")),
        ];
        let mut plain = Plain::new(80);
        for place in places.into_iter().chain(places) {
            for title in ["short", "a title\nof two lines"] {
                let shown = |(start, end, label)| snippet(start, end, label).into();
                let elements = place.map(shown).into_iter().chain(notes.iter().map(|(word, text)| {
                    let level = if *word == "note" { Level::NOTE } else { Level::HELP };
                    level.message(text.as_str()).into()
                }));
                let group = Level::WARNING.primary_title(title).id("lint").elements(elements);
                let expected = Renderer::plain().term_width(80).render(&[group]) + "\n";
                let text = plain.text("warning[lint]: ", title, place, place.map(shown), &notes);
                assert_eq!(text, expected, "{place:?}");
            }
        }
    }
}
