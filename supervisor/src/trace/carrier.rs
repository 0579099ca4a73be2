//! A span's identity as other programs find it in their environment.

use super::Context;

impl Context {
    /// `TRACEPARENT` (W3C Trace Context, "traceparent Header"), sampled.
    pub(crate) fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id(), self.span_id())
    }

    /// `_X_AMZN_TRACE_ID` (X-Ray, "Tracing header"), sampled.
    pub(crate) fn xray_header(&self) -> String {
        format!(
            "Root={};Parent={};Sampled=1",
            self.xray_trace_id(),
            self.span_id()
        )
    }

    /// Both, with the names that SDKs look for.
    pub(crate) fn variables(&self) -> [(&'static str, String); 2] {
        [
            ("TRACEPARENT", self.traceparent()),
            ("_X_AMZN_TRACE_ID", self.xray_header()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_span() {
        let context = Context {
            trace: *b"\x58\x40\x65\x20\xa0\x06\x64\x91\x27\xe3\x71\x90\x3a\x2d\xe9\x79",
            span: *b"\x53\x99\x5c\x3f\x42\xcd\x8a\xd8",
        };
        assert_eq!(
            context.variables(),
            [
                (
                    "TRACEPARENT",
                    "00-58406520a006649127e371903a2de979-53995c3f42cd8ad8-01".to_owned()
                ),
                (
                    "_X_AMZN_TRACE_ID",
                    "Root=1-58406520-a006649127e371903a2de979;Parent=53995c3f42cd8ad8;Sampled=1".to_owned()
                ),
            ]
        );
    }
}
