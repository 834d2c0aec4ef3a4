"""English texts for what a study file leaves out. Other languages are the study's own to write."""

ADULT_QUESTION = "Are you 18 years old or older?"

STORED_INSTRUCTIONS = """\
You will read short messages about everyday worries, each with one reply. The replies were written by AI \
programs, not by people.

Read the message first, then the reply, and rate that reply for itself. Go by your own impression: there is no \
right or wrong answer, and the whole scale is there to be used. If you cannot judge a reply, say so. If a \
message is not for you today, leave the study whenever you like.

Please answer on your own, without the help of other people or of AI tools. You can go back and change your \
answers until you finish."""

REPLIES_INSTRUCTIONS = """\
You will read short messages about everyday worries, each with one reply. The replies were written by AI \
programs or by people; we do not say which.

Read the message first, then the reply, and rate that reply for itself. Go by your own impression: there is no \
right or wrong answer, and the whole scale is there to be used. If you cannot judge a reply, say so. If a \
message is not for you today, leave the study whenever you like.

Please answer on your own, without the help of other people or of AI tools. You can go back and change your \
answers until you finish."""

CHAT_INSTRUCTIONS = """\
You will chat with an AI program. It is not a person and not a therapist, nobody is reading along, and it can be \
wrong.

Before each chat you get a situation to play. Put yourself in it and write as that person would, in your own \
words; please do not write about a crisis of your own, and leave out names, addresses and anything else that \
shows who somebody is. Take your time: a reply may need a moment.

After each chat you rate the replies you got. Go by your own impression: there is no right or wrong answer, and \
the whole scale is there to be used. You can change your ratings until you finish, and leave the study whenever \
you like."""

PRACTICE_PROMPT = (
    "My neighbour left a whole bag of lemons at my door. I have no idea what to do with so many. Any ideas?"
)

PRACTICE_REPLY = """\
What a kind neighbour! You could squeeze some and freeze the juice in an ice cube tray, so that there is always \
a little at hand. A lemon cake would use up three or four, and half of it could go back next door as a \
thank-you."""

PRACTICE_FEEDBACK = """\
Thank you, that is how it works. This one was for practice only and does not count. With the real ones, please \
judge each question on its own: a reply can be warm and clumsy at once, or polished and cold."""

DEBRIEF = """\
Thank you for your time and your care.

We wanted to learn how people experience replies to everyday worries. You were shown replies that were made in \
different ways, without being told which was which, so that only the replies themselves could speak. None of \
them is professional advice, and none was written for you personally.

If something you read or wrote stays with you, talk to somebody you trust, or open "Get help now": it works \
after the study too. Questions about the study are welcome at the contact address. With your withdrawal code you \
can have your answers deleted later."""

WITHHELD = """\
A safeguard of this study held the reply back, so it is not shown. You have done nothing wrong.

If what you talked about weighs on you, "Get help now" on this page leads to people who listen."""

AGE_BANDS = ("18-20", "21-24", "25-29", "30-39", "40-49", "50-59", "60 or older")
