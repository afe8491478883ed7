//! As much HTTP/1.1 as a gateway needs, pure: requests as text, whole answers as status and body. Knows no socket.

/// The longest answer that is read: descriptions of routers have some 10 kB.
pub(crate) const LONGEST: usize = 128 * 1024;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    /// 200 and so on.
    pub(crate) status: u16,
    /// Unchunked; what is not UTF-8 is replaced.
    pub(crate) body: String,
}

/// A GET.
pub(crate) fn get(host: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: p2pcall\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

/// A SOAP call.
pub(super) fn post(host: &str, path: &str, action: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: p2pcall\r\nContent-Type: text/xml; charset=\"utf-8\"\r\n\
         SOAPAction: \"{action}\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Whether all of an answer has come, as far as it tells.
pub(crate) fn is_complete(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else { return false };
    if let Some(length) = header(&head, "content-length").and_then(|value| value.parse::<usize>().ok()) {
        return body.len() >= length;
    }
    if is_chunked(&head) {
        return body.ends_with(b"0\r\n\r\n");
    }
    matches!(status(&head), Some(204 | 304))
}

/// The answer; `None` if it is none.
pub(crate) fn parse(bytes: &[u8]) -> Option<Response> {
    let (head, body) = split(bytes)?;
    let status = status(&head)?;
    let body = if is_chunked(&head) { unchunk(body) } else { body.to_vec() };
    Some(Response { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// A header of a head, its name in lower case.
pub(super) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Host, port and path of an `http://` address.
pub(super) fn split_url(url: &str) -> Option<(&str, u16, &str)> {
    let rest = url.strip_prefix("http://")?;
    let (place, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (place, 80),
    };
    let clean = |text: &str| text.chars().all(|c| c.is_ascii_graphic());
    (!host.is_empty() && clean(host) && clean(path)).then_some((host, port, path))
}

fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let at = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = bytes.split_at_checked(at)?;
    Some((String::from_utf8_lossy(head).into_owned(), rest.get(4..)?))
}

fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
}

/// RFC 9112 §7.1; what is cut off or wrong ends it.
fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(at) = bytes.windows(2).position(|two| two == b"\r\n") {
        let line = bytes.get(..at).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
        let digits = line.split(';').next().unwrap_or_default().trim();
        let Ok(length) = usize::from_str_radix(digits, 16) else { break };
        let Some(rest) = bytes.get(at + 2..) else { break };
        if length == 0 {
            break;
        }
        let Some((chunk, rest)) = rest.split_at_checked(length.min(rest.len())) else { break };
        out.extend_from_slice(chunk);
        bytes = rest.get(2..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_read_in_each_of_its_forms() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert!(is_complete(plain) && !is_complete(&plain[..plain.len() - 1]));
        assert_eq!(parse(plain).unwrap().body, "hello");
        let chunked =
            b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n";
        assert!(is_complete(chunked));
        assert_eq!(parse(chunked), Some(Response { status: 500, body: "hello".to_owned() }));
        assert!(is_complete(b"HTTP/1.1 204 No Content\r\n\r\n"));
        assert_eq!(parse(b"220 mail ready\r\n\r\n"), None);
    }

    #[test]
    fn an_address_is_split() {
        for (url, expect) in [
            ("http://10.0.0.1:5000/rootDesc.xml", Some(("10.0.0.1", 5000, "/rootDesc.xml"))),
            ("http://10.0.0.1", Some(("10.0.0.1", 80, "/"))),
            ("http://10.0.0.1:x/", None),
            ("https://10.0.0.1/", None),
            ("http://10.0.0.1/a\r\nHost: b", None),
        ] {
            assert_eq!(split_url(url), expect, "{url}");
        }
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>, tail in "[0-9a-f;\r\n]{0,60}") {
            let _ = (is_complete(&bytes), parse(&bytes));
            let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{tail}");
            let _ = parse(chunked.as_bytes());
        }
    }
}
