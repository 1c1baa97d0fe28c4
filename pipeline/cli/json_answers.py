"""What each command prints with --json, and what the status server answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.cameras.check import CameraCheck
from pipeline.config_words import WORDS
from pipeline.evaluate.annotate import Annotated
from pipeline.evaluate.evaluation import Evaluation
from pipeline.linking.recluster import Reclustered
from pipeline.queries.find import Likely
from pipeline.queries.journey import Journey
from pipeline.queries.people import PeoplePage
from pipeline.queries.recordings import RecordingSummary
from pipeline.queries.review import Reviewed
from pipeline.queries.tracks import TracksPage
from pipeline.running.run import RunReport
from pipeline.running.status import Status
from pipeline.store.corrections import Correction
from pipeline.store.erasure import Erased
from pipeline.store.versions import Version

Keys = Mapping[str, tuple[Any, str]]
"""Type and meaning of each key that stands in no record."""
Answer = tuple[type | Keys, ...]
"""The records and keys that together are one object."""

TOTALS: Keys = {
    "people": (int, "How many people were seen by these cameras."),
    "people_in_several_cameras": (int, "How many of them were seen by more than one camera."),
    "recordings": (list[RecordingSummary], "What became of the newest recording of each camera."),
}
HEALTH: Keys = {"status": (str, "`ok` where every camera is live, else `degraded`.")}

ANSWERS: Mapping[str, Answer] = {
    "run": (TOTALS, RunReport),
    "check": ({"cameras": (list[CameraCheck], "In the order of the configuration.")},),
    "status": (Status,),
    "find": (Likely,),
    "query people": (PeoplePage,),
    "query tracks": (TracksPage,),
    "query journey": (Journey,),
    "query versions": ({"versions": (list[Version], "The oldest first.")},),
    "review": (Reviewed,),
    "recluster": (Reclustered,),
    "forget": (Erased,),
    "correct history": ({"corrections": (list[Correction], "The oldest first.")},),
    "evaluate": (Evaluation,),
    "annotate": (Annotated,),
}
"""By what is typed."""
SERVED: Mapping[str, Answer] = {"GET /health": (HEALTH, Status)}
"""By what is asked of the status server."""

JSON_WORDS = WORDS | {"int": "a number", "NoneType": "null"}
COMMON: Mapping[str, str] = {
    "asked": "Questions that were asked.",
    "association_accuracy": "AssA of HOTA.",
    "bins": "Decisions grouped by stated probability.",
    "boxes": "How many boxes.",
    "camera": "The camera's name.",
    "cameras": "One entry for each camera.",
    "changes": "Whatever is different from the version before.",
    "clock_known": "Whether times are UTC; otherwise they count from the start of the recording.",
    "clock_uncertainty_s": "How far that may be wrong.",
    "confidence": "How sure the detector was, on average.",
    "correction": "Its number, for `correct undo`.",
    "coverage": "Whether everybody is labelled (`complete`) or only some people (`partial`).",
    "created_ns": "When it was made.",
    "crops": "How many pictures.",
    "decisions": "Links that can be judged.",
    "detected": "Frames that were searched for people.",
    "different": "Answers that two are different people.",
    "distance": "How unlike the person the tracklet looks; small means alike.",
    "end_ns": "When the person went out of view.",
    "first_frame": "Number of the first frame, from 0.",
    "first_ns": "When the person was first seen.",
    "fps_detected": "Frames a second that are searched.",
    "fps_in": "Frames a second that arrive.",
    "fragments": "How often a track is interrupted.",
    "frames": "Frames that were read.",
    "frames_detected": "Frames that were searched for people.",
    "health": "What it reported.",
    "height": "Of the upright frame, px.",
    "hota": "Higher order tracking accuracy (HOTA).",
    "id_precision": "Share of found boxes that have the right identity.",
    "id_recall": "Share of labelled boxes that have the right identity.",
    "identities": "How many identities there are.",
    "identities_before": "How many there were in the version before.",
    "identity": "Number of the person: 7 is P7.",
    "idf1": "Share of boxes with the right identity (IDF1).",
    "ids": "How many ids were found.",
    "interrupted": "Whether the run was stopped before it was done.",
    "jumps": "Tracks that go from one person to another.",
    "kind": "What was done, or by whom.",
    "last_error": "The last error in words; empty where there was none.",
    "last_frame": "Number of the last frame.",
    "last_ns": "When the person was last seen.",
    "latency_p95_s": "The same for the slowest of 20 frames.",
    "median_s": "The usual time.",
    "merges": "Identities that hold several people.",
    "message": "What is worth knowing about it; empty where nothing is.",
    "mota": "Multiple object tracking accuracy (MOTA).",
    "note": "What was said about it.",
    "part": "A long presence is cut into parts, numbered from 0.",
    "people": "How many people.",
    "person": "Number of the person: 7 is P7.",
    "precision": "Share of what was said that is right.",
    "probability": "How likely the link is right.",
    "problem": "Why it cannot be read; `null` where it can.",
    "reason": "What speaks for it.",
    "recall": "Share of what is true that was said.",
    "reconnects": "How often it was connected anew.",
    "recording": "Number of the recording.",
    "right": "How many are right.",
    "run": "Number of the run that read it.",
    "runner_up": "Who else it could be.",
    "runner_up_probability": "How likely that is.",
    "said": "How many were said.",
    "same": "Answers that two are the same person.",
    "source": "Where it comes from, without credentials.",
    "splits": "People who are filed under several identities.",
    "stage_s": "Seconds of work by stage.",
    "start_ns": "When the person came into view.",
    "started_ns": "When the run began.",
    "state": "What became of it, or how it is.",
    "switches": "How often a person's id changes.",
    "time_ns": "When it was said.",
    "track": "Number of the track within its recording.",
    "tracklet": "Number of the tracklet: 12 is t12.",
    "tracklets": "Tracklets: their numbers, or how many.",
    "true": "How many are true.",
    "true_boxes": "How many boxes are labelled.",
    "undoes": "The correction that it takes back.",
    "unsure": "Answers that it cannot be told.",
    "version": "Number of the identity version.",
    "walks": "How many walks were seen.",
    "wall_s": "How long the run took.",
    "written_ns": "When this was written.",
}
"""What a key means in every record that says nothing of its own."""
