"""The English grammar of `paha.dataset.synth.texts`: a name stands for any of its expansions."""

from __future__ import annotations


def _words(text: str) -> list[str]:
    return text.split()


def _phrases(text: str) -> list[str]:
    return [phrase.strip() for phrase in text.strip().replace("\n", "").split("|")]


GRAMMAR_EN: dict[str, list[str]] = {
    "sentence": _phrases("""
        {opener}, {clause}.|{clause}, {link} {clause}.|{clause}.|{clause} {when}.|{when}, {clause}.
        |{opener}, {clause} {link} {clause}.|{question}?|{question}, {vocative}?|{advice}.|{advice}, {reason}.
        |{clause}, {reason}.|{list_sentence}.|{number} {plural} {plural_verb} {place}, {link} {clause}.|{exclaim}!"""),
    "clause": _phrases("""
        {person} {past} {object}|{person} {past} {object} {place}|{person} {feeling} about {object}
        |{the} {adjective} {noun} {was} {quality}|{person} {will} {base} {object}|{nobody} {past} {object}
        |we {will} {base} {object} {manner}|{the} {noun} {past} {object}
        |it {was} {degree} {quality} to {base} {object}|{person} {said} that {person} {past} {object}
        |I {think} {the} {noun} {will} be {quality}"""),
    "question": _phrases("""
        {why} did {person} {base} {object}|have you ever {participle} {object}
        |how many {plural} do we need {place}|would you like to {base} {object}|who {past} {object} {when}
        |{why} is {the} {noun} so {quality}|can {person} {base} {object} {manner}"""),
    "advice": _phrases("""
        please {base} {object} {manner}|never {base} {object} {when}
        |always {base} {object} before you {base} {object}|let us {base} {object} together
        |imagine {object} {place}|look at {the} {adjective} {noun}|{base} {object}, then {base} {object}"""),
    "list_sentence": _phrases("""
        we bought {plural}, {plural}, and {plural}|first {clause}, second {clause}
        |there are three things: {object}, {object}, and {object}|neither {object} nor {object} {was} {quality}"""),
    "exclaim": _phrases("""
        what a {adjective} {noun}|how {quality} {the} {noun} {was}|{person} {past} {object} again
        |welcome to {the} {adjective} {noun}"""),
    "reason": _phrases("""
        because {person} {past} {object}|since {the} {noun} {was} {quality}|so that {person} can {base} {object}
        |unless {person} {past} it {when}|even though {the} {plural} {plural_verb} {place}"""),
    "object": _phrases("""
        {the} {noun}|{the} {adjective} {noun}|{number} {plural}|{adjective} {plural}|my {noun}
        |your {adjective} {noun}|our {plural}|a {adjective} {noun}|every {noun}|some {plural} and a {noun}
        |{the} {noun} {place}|both {plural}"""),
    "the": _phrases("the|the|the|this|that|our|their|another|his|her"),
    "person": _phrases("""
        I|you|we|they|she|he|my mother|our teacher|the mayor|Peter|Barbara|Paul|Emma|Oliver|Fiona|Maya|Robin
        |Thomas|everybody|the whole family|my best friend|the young doctor|a famous painter|the old fisherman
        |the children|her brother|the baker|their boss|Victor|Zoe|Bob and Amy|most people|a clever student"""),
    "nobody": _phrases("nobody|hardly anyone|almost everyone|somebody|no visitor|one of them"),
    "will": _phrases("will|should|could|must|may|might|would|can|have to|want to|used to"),
    "was": _phrases("was|was never|became|remained|seemed|was always|looked|proved"),
    "said": _phrases("said|believed|knew|forgot|heard|promised|suspected|announced|wrote|hoped"),
    "think": _phrases("think|suppose|believe|am sure|imagine|hope|doubt that|bet"),
    "why": _phrases("why|when|where|how|for whom|at what time"),
    "vocative": _phrases("my friend|ladies and gentlemen|doctor|everyone|Emma|folks|please"),
    "opener": _phrases("""
        well|of course|frankly|in fact|by the way|as you know|to be honest|on the other hand|for example
        |surprisingly|above all|in my opinion|believe me|at first|in the end|so|however|meanwhile|good morning
        |listen|years ago|apparently|fortunately|without any doubt|to begin with|after all|more importantly"""),
    "link": _phrases("""
        and|but|so|yet|because|while|although|or maybe|and then|before|after|until|and that is why"""),
    "when": _phrases("""
        yesterday|tomorrow|last summer|every morning|in the evening|on Monday|before breakfast|after the storm
        |at midnight|during the meeting|in a few minutes|once a week|in nineteen eighty four|right now
        |at half past five|all day long|in the middle of winter|over the weekend|two years ago|as soon as possible
        |next February"""),
    "place": _phrases("""
        in the garden|on the table|behind the house|at the market|near the river|under the bridge|above the clouds
        |in Boston|beside the window|around the corner|on the top of the mountain|in the laboratory|at school
        |across the road|in the kitchen|along the beach|inside the museum|between two farms|far away from home
        |on the moon|out at sea|in a small village|at the airport"""),
    "manner": _phrases("""
        slowly|with great care|quietly|at once|together|without help|very well|in a hurry|step by step|for free
        |by hand|with a smile|out loud|twice|perfectly|in public|on purpose|with both hands|as a team"""),
    "degree": _phrases("very|rather|quite|hardly|absolutely|far too|almost|surprisingly|more than"),
    "feeling": _phrases("""
        was happy|felt sorry|dreamed|worried|laughed|talked for hours|wrote a book|complained|was curious
        |knew everything|never spoke|sang a song"""),
    "quality": _words("""
        beautiful broken warm empty wonderful strange quiet expensive simple famous purple dangerous cheap soft
        obvious enormous boring fresh helpful important possible heavy perfect impossible bright bitter smooth
        modern ancient popular available remarkable comfortable visible poor pure wrong full"""),
    "adjective": _words("""
        small big old young green blue yellow brown beautiful wooden golden empty hungry lazy brave funny noisy
        gentle broken warm cold wild tall short round square happy proud wet dry bumpy smooth famous modern hidden
        purple foggy peaceful powerful valuable cheap remote fabulous original marble portable improbable whole"""),
    "noun": _words("""
        book boat apple mountain teapot window garden computer bridge moon river farmer market bottle pepper
        blanket umbrella problem photograph piano movie window village weather museum elephant balloon camera
        pumpkin robot picture ship shop story telephone theory experiment festival bamboo map lamp hammer
        butterfly rabbit wolf potato mirror compass banana diamond volcano violin lemon puppet basket bicycle
        newspaper engine planet poem wagon coffee machine program answer plan journey idea budget model proof
        hospital bus ferry carpet oven"""),
    "plural": _words("""
        apples books people windows maps ideas boats bubbles problems animals mushrooms lamps coins pictures
        flowers questions answers mountains bridges songs stories tomatoes buttons pumpkins birds stamps wheels
        bottles villages computers robots letters bananas pebbles cups spoons leaves pipes poems examples numbers
        babies farmers"""),
    "plural_verb": _phrases("""
        were found|grew|disappeared|have been waiting|stood|were sold|fell|moved|slept|were playing|were painted
        |must wait|are floating"""),
    "number": _phrases("""
        two|three|four|five|seven|eleven|fifteen|forty|ninety nine|a hundred|a few|several|most"""),
    "past": _words("""
        bought found opened painted followed remembered carried built lost moved wanted chose believed borrowed
        noticed repaired wrote changed loved showed missed broke warmed washed hid read brought watched promised
        explored offered cooked touched measured mailed improved pushed weighed forgot copied admired"""),
    "participle": _words("""
        seen opened painted bought eaten lost borrowed repaired watched measured baked moved written"""),
    "base": _words("""
        buy find open paint follow remember carry build move choose borrow notice repair write change love show
        break warm wash hide read bring watch explore offer cook touch measure mail improve push weigh forget copy
        compare describe solve share prepare bake visit sell map photograph protect examine feed plan"""),
}
