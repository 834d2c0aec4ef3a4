"""What synthetic participants write: the beginnings of chats by scenario, what follows in any chat, comments."""

OPENINGS = {
    "moved-away": "I moved here six weeks ago, and in the evenings I sit in my room and know nobody to call.",
    "math-again": "I failed the mathematics exam again today. There is one attempt left, and I have told nobody.",
    "shared-kitchen": "My flatmates left the kitchen dirty again, and the food I had bought is gone.",
    "short-of-money": "My bicycle was stolen, and after buying another one I am short for the rent.",
    "big-talk": "I have to present my project next week, and last time I lost the thread in front of everybody.",
    "drifting-friend": "My best friend answers me with a word or two these days, and I do not know why.",
    "unequal-project": "I do most of the work in our group, and one of the others is a friend of mine.",
    "chosen-subject": "After a year my subject leaves me cold, and I keep thinking about another department.",
    "after-the-break-up": "We broke up three weeks ago, and I still reach for the phone to tell about my day.",
    "early-lecture": "I wait tables until late, and yesterday I slept through an important class.",
    "voice-in-seminar": "I had a good thought in the seminar and said nothing. Then somebody else said it.",
    "parents-wish": "My family wants me to take over the shop, and I have been offered a place abroad.",
    "small-screen": "Last night I picked up my phone for a minute and looked up two hours later.",
    "almost-finished": "Everyone asks what I will do after graduating, and I have no answer.",
}
OPENING = "There is something that has been on my mind for a while."
GOING_ON = (
    "It has been like this for some weeks now.",
    "I have not told anybody so far.",
    "What would you do first?",
    "I am not sure that would work for me.",
    "Maybe. I feel a bit silly for worrying about it so much.",
    "Thank you. What if it does not help?",
    "Are you a person or a program?",
    "Yes, I think I could try that tomorrow.",
)
COMMENTS = (
    "It felt a little general to me.",
    "Warm and to the point.",
    "A question back would have been nice.",
    "Well written, though rather long.",
)
ANYTHING_ELSE = ("English", "Hindi", "Nothing to add.", "I liked the clear layout.")
