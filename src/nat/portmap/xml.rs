//! As much XML as a gateway's description needs, pure: the text of elements by name, whatever their prefix. No
//! entities but the five, no nesting of equal names, nothing but slices of the text.

/// The contents of all elements of this name, in order, as they stand in the text.
pub(super) fn elements<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('<')?;
            let (tag, content) = after.split_once('>')?;
            rest = content;
            if local_name(tag) != name || tag.ends_with('/') {
                continue;
            }
            let end = end_of(content, name)?;
            rest = content.get(end..)?;
            return content.get(..end);
        }
    })
}

/// The first one's text, entities replaced.
pub(super) fn text(of: &str, name: &str) -> Option<String> {
    elements(of, name).next().map(|raw| unescape(raw.trim()))
}

/// The name of a start tag, without prefix and attributes.
fn local_name(tag: &str) -> &str {
    let name = tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or_default();
    name.rsplit(':').next().unwrap_or_default()
}

/// Where the end tag of this name begins.
fn end_of(content: &str, name: &str) -> Option<usize> {
    content.match_indices("</").map(|(at, _)| at).find(|at| {
        let tag = content.get(at + 2..).and_then(|rest| rest.split('>').next()).unwrap_or_default();
        local_name(tag) == name
    })
}

fn unescape(text: &str) -> String {
    let mut text = text.to_owned();
    for (entity, character) in
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_are_found_by_name_whatever_their_prefix() {
        let xml = "<?xml?><r><a x='1'>one</a><u:a>two &amp; more</u:a ><a/><b>three</b></r>";
        assert_eq!(elements(xml, "a").collect::<Vec<_>>(), ["one", "two &amp; more"]);
        assert_eq!(text(xml, "b").as_deref(), Some("three"));
        assert_eq!(text("<a>x &amp;lt; y</a>", "a").as_deref(), Some("x &lt; y"));
        assert_eq!(text(xml, "c"), None);
        assert_eq!(text("<a>never ends", "a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[<>/a: &;é]{0,80}") {
            let _ = elements(&text, "a").map(unescape).count();
        }
    }
}
