"""What the pages say, in the languages that we speak.

Sentences are for somebody who wants to leave and knows nothing about mail systems. A theme may
say all of it differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

FALLBACK: Final = "en"


class Words(NamedTuple):
    """A heading and a sentence or two for each page, and what the button says."""

    button: str
    ask: tuple[str, str]
    done: tuple[str, str]
    already: tuple[str, str]
    test: tuple[str, str]
    invalid: tuple[str, str]
    purged: tuple[str, str]
    away: tuple[str, str]
    busy: tuple[str, str]
    refused: tuple[str, str]


ENGLISH: Final = Words(
    button="Unsubscribe",
    ask=("Unsubscribe?", "Press the button and this sender will stop sending you these emails."),
    done=("You are unsubscribed", "This sender will stop sending you these emails."),
    already=("You are unsubscribed", "You had unsubscribed before. There is nothing left to do."),
    test=(
        "This is a test",
        "The link works. It belongs to a test message: nobody is unsubscribed.",
    ),
    invalid=(
        "This link does not work",
        "It may be incomplete. Please copy the whole link from the message, or reply to the"
        " message and ask to be unsubscribed.",
    ),
    purged=(
        "This link is too old",
        "Please use the link in a newer message, or reply to the message and ask to be"
        " unsubscribed.",
    ),
    away=(
        "Please try again in a minute",
        "Your request could not be saved just now, so you are not unsubscribed yet.",
    ),
    busy=("Please wait a moment", "There were too many requests at once. Try again in a minute."),
    refused=("This did not work", "Please open the link in the message again."),
)

GERMAN: Final = Words(
    button="Abmelden",
    ask=(
        "Abmelden?",
        "Mit einem Klick auf die Schaltfläche erhalten Sie von diesem Absender keine solchen"
        " E-Mails mehr.",
    ),
    done=("Sie sind abgemeldet", "Dieser Absender schickt Ihnen keine solchen E-Mails mehr."),
    already=("Sie sind abgemeldet", "Sie hatten sich schon abgemeldet. Es ist nichts mehr zu tun."),
    test=(
        "Dies ist ein Test",
        "Der Link funktioniert. Er gehört zu einer Testnachricht: Niemand wird abgemeldet.",
    ),
    invalid=(
        "Dieser Link funktioniert nicht",
        "Vielleicht ist er unvollständig. Bitte kopieren Sie den ganzen Link aus der Nachricht,"
        " oder antworten Sie auf die Nachricht und bitten Sie um Abmeldung.",
    ),
    purged=(
        "Dieser Link ist zu alt",
        "Bitte nutzen Sie den Link in einer neueren Nachricht, oder antworten Sie auf die"
        " Nachricht und bitten Sie um Abmeldung.",
    ),
    away=(
        "Bitte versuchen Sie es in einer Minute noch einmal",
        "Ihr Wunsch konnte gerade nicht gespeichert werden. Sie sind noch nicht abgemeldet.",
    ),
    busy=(
        "Bitte warten Sie einen Moment",
        "Es kamen zu viele Anfragen auf einmal. Versuchen Sie es in einer Minute noch einmal.",
    ),
    refused=(
        "Das hat nicht geklappt",
        "Bitte öffnen Sie den Link in der Nachricht noch einmal.",
    ),
)

FRENCH: Final = Words(
    button="Se désabonner",
    ask=(
        "Se désabonner ?",
        "Appuyez sur le bouton et cet expéditeur ne vous enverra plus ces messages.",
    ),
    done=("Vous êtes désabonné(e)", "Cet expéditeur ne vous enverra plus ces messages."),
    already=("Vous êtes désabonné(e)", "C’était déjà fait. Vous n’avez plus rien à faire."),
    test=(
        "Ceci est un test",
        "Le lien fonctionne. Il appartient à un message d’essai : personne n’est désabonné.",
    ),
    invalid=(
        "Ce lien ne fonctionne pas",
        "Il est peut-être incomplet. Copiez le lien entier depuis le message, ou répondez au"
        " message en demandant à être désabonné(e).",
    ),
    purged=(
        "Ce lien est trop ancien",
        "Utilisez le lien d’un message plus récent, ou répondez au message en demandant à être"
        " désabonné(e).",
    ),
    away=(
        "Réessayez dans une minute",
        "Votre demande n’a pas pu être enregistrée. Vous n’êtes pas encore désabonné(e).",
    ),
    busy=("Un instant", "Trop de demandes sont arrivées à la fois. Réessayez dans une minute."),
    refused=("Cela n’a pas fonctionné", "Ouvrez de nouveau le lien du message."),
)

SPANISH: Final = Words(
    button="Darse de baja",
    ask=(
        "¿Darse de baja?",
        "Pulse el botón y este remitente no le enviará más correos como este.",
    ),
    done=("Baja realizada", "Este remitente no le enviará más correos como este."),
    already=("Baja realizada", "Ya se había dado de baja. No tiene que hacer nada más."),
    test=(
        "Esto es una prueba",
        "El enlace funciona. Es de un mensaje de prueba: no se da de baja a nadie.",
    ),
    invalid=(
        "Este enlace no funciona",
        "Puede que esté incompleto. Copie el enlace entero del mensaje, o responda al mensaje y"
        " pida la baja.",
    ),
    purged=(
        "Este enlace es demasiado antiguo",
        "Use el enlace de un mensaje más reciente, o responda al mensaje y pida la baja.",
    ),
    away=(
        "Inténtelo de nuevo dentro de un minuto",
        "No se ha podido guardar su petición. Todavía no está dado de baja.",
    ),
    busy=(
        "Espere un momento",
        "Han llegado demasiadas peticiones a la vez. Inténtelo de nuevo dentro de un minuto.",
    ),
    refused=("No ha funcionado", "Abra de nuevo el enlace del mensaje."),
)

LANGUAGES: Final[Mapping[str, Words]] = {
    "en": ENGLISH,
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
}

_LONGEST: Final = 200  # characters of an Accept-Language that are looked at


def chosen(accept_language: str) -> str:
    """The language to use for an Accept-Language header (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for entry in accept_language[:_LONGEST].split(","):
        tag, _, weight = entry.partition(";")
        language = tag.strip().partition("-")[0].lower()
        quality = _quality(weight.strip())
        if language in LANGUAGES and quality > 0:
            wanted.append((-quality, language))
    return min(wanted, key=lambda each: each[0])[1] if wanted else FALLBACK


def _quality(weight: str) -> float:
    """1 unless it says otherwise; 0 for what cannot be read."""
    if not weight:
        return 1.0
    try:
        return float(weight.removeprefix("q="))
    except ValueError:
        return 0.0
