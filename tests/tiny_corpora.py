"""Every corpus in small, in the layout that it is published in: same file names, same folders, same quirks.

`build(name, folder)` writes the archives as the publisher's server has them and returns what a right
`prepare` must find in them, written down here by hand and not computed by the code under test.
"""

import importlib
import io
import shutil
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from loopback import Loopback
from sqa_data import get_corpus


@dataclass(frozen=True)
class Clip:
    """What the manifest must say of a clip."""

    system_id: str | None
    mos: float | None
    votes: int | None = None
    seconds: float = 0.1
    others: tuple[tuple[str, float], ...] = ()


Expected = dict[str, dict[str, Clip]]  # split -> sample_id -> clip


def tone(name: str, rate: int, seconds: float = 0.1, kind: str = "WAV") -> bytes:
    """The bytes of a short clip of noise that is like no other clip's."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    file = io.BytesIO()
    signal = rng.normal(0, 0.1, round(rate * seconds)).astype(np.float32)
    soundfile.write(file, signal, rate, format=kind, subtype="PCM_16")
    return file.getvalue()


def zipped(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def tarred(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def build(name: str, folder: Path) -> Expected:
    """Write corpus `name` into `folder` as published."""
    folder.mkdir(parents=True, exist_ok=True)
    if other := get_corpus(name).audio_of:
        build(other, folder.parent / other)
    return BUILDERS[name](folder)


def publish(name: str, server: Loopback, folder: Path) -> Expected:
    """Build a corpus and put its files on a server, where `--from` or the Hub's address finds them."""
    expected = build(name, folder)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    corpus = get_corpus(name)
    if corpus.hub:
        beside = {archive.name for archive in corpus.files}
        server.repos[corpus.hub.repo] = {
            file: content for file, content in files.items() if file not in beside
        }
        files = {file: content for file, content in files.items() if file in beside}
    server.files |= {f"/{name}/{file}": content for file, content in files.items()}
    return expected


def bring_by_hand(name: str, published: Path, folder: Path) -> None:
    """Copy what no `download` of a corpus brings: clips of other corpora, for one."""
    corpus = get_corpus(name)
    for path in published.rglob("*"):
        file = path.relative_to(published)
        if path.is_file() and not corpus.hub and file.as_posix() not in {a.name for a in corpus.files}:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / file)


def bzipped(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:bz2") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _voicemos(folder: Path, top: str, archive: str, suffix: str) -> Expected:
    listener = "{}_30-39_bZPQE7w4Zl3g_Female_Valid_1_No"
    sets = {
        "TRAINSET": [("sys1", "uttaa", 4), ("sys1", "uttaa", 5), ("sys1", "uttab", 2), ("sys2", "uttac", 3)],
        "DEVSET": [("sys1", "uttba", 1), ("sys1", "uttba", 1), ("sys1", "uttba", 2)],
        "TESTSET": [("sys3", "uttca", 5), ("sys3", "uttca", 4)],
    }
    files = {f"{top}/01_get.py": b"", f"{top}/02_gather.py": b"", f"{top}/03_preprocess.py": b""}
    files[f"{top}/gather.scp"] = b"VCC2018-N11-a.wav\n"
    for which, rows in sets.items():
        lines = [f"{s},{s}-{u}{suffix},{r},VDP1_{i},{listener}" for i, (s, u, r) in enumerate(rows)]
        files[f"{top}/DATA/sets/{which}"] = "\n".join([*lines, ""]).encode()
        for system, utterance, _ in rows:
            # sys3 stands for the Blizzard systems, whose audio the archive does not hold
            if system != "sys3":
                key = f"{system}-{utterance}.wav"
                files[f"{top}/DATA/wav/{key}"] = tone(top + key, 16000)
    tarred(folder / archive, files)
    return {
        "train": {
            "sys1-uttaa": Clip("sys1", 4.5, 2),
            "sys1-uttab": Clip("sys1", 2.0, 1),
            "sys2-uttac": Clip("sys2", 3.0, 1),
        },
        "dev": {"sys1-uttba": Clip("sys1", 4 / 3, 3)},
    }


def bvcc(folder: Path) -> Expected:
    expected = _voicemos(folder, "main", "main.tar.gz", ".wav")
    for year in ("2008", "2009", "2010", "2011", "2013", "2016"):
        version = 2 if year == "2013" else 1
        bzipped(
            folder / f"blizzard_wavs_and_scores_{year}_release_version_{version}.tar.bz2", {"README": b""}
        )
    return expected


def bc19(folder: Path) -> Expected:
    expected = _voicemos(folder, "ood", "ood.tar.gz", "")
    bzipped(folder / "blizzard_wavs_and_scores_2019_release_version_1.tar.bz2", {"README": b""})
    return expected


def nisqa(folder: Path) -> Expected:
    header = (
        "db,con,file,con_description,filename_deg,filename_ref,source,lang,votes,mos,noi,col,dis,loud,"
        + ("noi_std,col_std,dis_std,loud_std,mos_std,filepath_deg,filepath_ref")
    )
    files: dict[str, bytes] = {"NISQA_Corpus/README.txt": b"read me"}
    names = ["TRAIN_SIM", "TRAIN_LIVE", "VAL_SIM", "VAL_LIVE", "TEST_FOR", "TEST_P501", "TEST_LIVETALK"]
    for i, which in enumerate(names):
        db = f"NISQA_{which}"
        con = "1.0" if which == "TRAIN_LIVE" else "1"  # restarts in each database; a float in some versions
        rows = [header]
        for talker in "ab":
            clip = f"c00001_{which.lower()} {talker}.wav"  # with a space
            mos = 2 + i / 8 + (talker == "b")
            rows.append(
                f'{db},{con},1,"clean, no codec",{clip},ref.wav,src,en,5,{mos},4.5,3.5,2.5,1.5,'
                f".1,.2,.3,.4,0.7,{db}/deg/{clip},{db}/ref/ref.wav"
            )
            files[f"NISQA_Corpus/{db}/deg/{clip}"] = tone(db + clip, 48000)
        files[f"NISQA_Corpus/{db}/{db}_file.csv"] = "\r\n".join([*rows, ""]).encode()
    zipped(folder / "NISQA_Corpus.zip", files)
    splits = {"TRAIN_SIM": "train", "TRAIN_LIVE": "train", "VAL_SIM": "dev", "VAL_LIVE": "dev"}
    splits |= {"TEST_FOR": "FOR", "TEST_P501": "P501", "TEST_LIVETALK": "LIVETALK"}
    others = (("mos_noi", 4.5), ("mos_col", 3.5), ("mos_dis", 2.5), ("mos_loud", 1.5))
    expected: Expected = {}
    for i, which in enumerate(names):
        for talker in "ab":
            clip = Clip(f"NISQA_{which}-1", 2 + i / 8 + (talker == "b"), 5, others=others)
            expected.setdefault(splits[which], {})[f"c00001_{which.lower()} {talker}"] = clip
    return expected


def pstn(folder: Path) -> Expected:
    files = {
        "pstn_train/pstn_train.csv": b"filename,MOS,std,95%CI,votes\n"
        b"s0001_a.wav,3.25,0.5,0.4,4\ns0002_b.wav,1.5,0.6,0.4,6\n",
        "pstn_train/s0001_a.wav": tone("p1", 8000),
        "pstn_train/s0002_b.wav": tone("p2", 8000),
    }
    zipped(folder / "train.zip", files)
    return {"train": {"s0001": Clip(None, 3.25, 4), "s0002": Clip(None, 1.5, 6)}}


def somos(folder: Path) -> Expected:
    base = "training_files/split1/clean"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as audios:
        for name in ("novel_1_015", "novel_2_015", "novel_3_000", "novel_4_999"):
            audios.writestr(f"audios/{name}.wav", tone(name, 24000))
    header = "systemId,utteranceId,choice,listenerId\n"
    train = "015,novel_1_015.wav,4,L1\n015,novel_1_015.wav,3,L2\n015,novel_2_015.wav,5,L1\n"
    files = {
        "audios.zip": inner.getvalue(),
        f"{base}/TRAINSET": (header + train).encode(),
        f"{base}/VALIDSET": (header + "000,novel_3_000.wav,1,L3\n").encode(),
        f"{base}/TESTSET": (header + "999,novel_4_999.wav,2,L3\n").encode(),
    }
    zipped(folder / "somos.zip", files)
    return {
        "train": {"novel_1_015.wav": Clip("015", 3.5, 2), "novel_2_015.wav": Clip("015", 5.0, 1)},
        "dev": {"novel_3_000.wav": Clip("000", 1.0, 1)},
        "test": {"novel_4_999.wav": Clip("999", 2.0, 1)},
    }


def tcd_voip(folder: Path) -> Expected:
    rows = [
        ["Filename", "ConditionID", "Listener 1", "Listener 2", "sample MOS"],
        ["C_01_ECHO_FA.wav", 1, 5, 4, 4.5],
        ["C_01_ECHO_MK.wav", 1, 3, 4, 3.5],
        ["C_01_CHOP_FA.wav", 1, 1, 2, 1.5],
        ["C_02_CHOP_FA.wav", 2, 2, 3, 2.5],
    ]
    files = {
        "TCD-VOIP/README.txt": b"",
        "TCD-VOIP/TCD-VoIP MOS.xlsx": workbook({"About": [["TCD-VoIP"]], "Subjective Test Scores": rows}),
    }
    for clip in (row[0] for row in rows[1:]):
        kind = str(clip).split("_")[2].lower()
        files[f"TCD-VOIP/Test Set/{kind}/{clip}"] = tone(str(clip), 48000)
        files[f"TCD-VOIP/Test Set/{kind}/ref/{str(clip).replace('C_', 'R_')}"] = tone(f"r{clip}", 48000)
    zipped(folder / "TCD-VOIP.zip", files)
    return {
        "train": {
            "C_01_ECHO_FA": Clip("ECHO-001", 4.5, 2),
            "C_01_ECHO_MK": Clip("ECHO-001", 3.5, 2),
            "C_01_CHOP_FA": Clip("CHOP-001", 1.5, 2),
            "C_02_CHOP_FA": Clip("CHOP-002", 2.5, 2),
        }
    }


def tencent(folder: Path) -> Expected:
    top = "TencentCorups"  # so it is spelled
    files = {
        f"{top}/withoutReverberationTrainDevMOS.csv": b"\xef\xbb\xbfdeg_wav,mos\r\n"
        b"./withoutReverberationTrainDev/00001.wav,1.08\r\n"
        b"./withoutReverberationTrainDev/00002.wav,4.733333333\r\n",
        # this file names a folder that the archive spells otherwise
        f"{top}/withReverberationTrainDevMOS.csv": b"deg_wav,mos\r\n"
        b"./withReverberationTrainDevMOS/0000.wav,3.2\r\n",
        f"{top}/withoutReverberationTrainDev/00001.wav": tone("t1", 16000),
        f"{top}/withoutReverberationTrainDev/00002.wav": tone("t2", 16000),
        f"{top}/withReverberationTrainDev/0000.wav": tone("t3", 16000),
    }
    zipped(folder / "TencentCorpus.zip", files)
    return {
        "train": {
            "withoutReverberationTrainDev_00001": Clip(None, 1.08),
            "withoutReverberationTrainDev_00002": Clip(None, 4.733333333),
            "withReverberationTrainDevMOS_0000": Clip(None, 3.2),
        }
    }


def tmhint_qi(folder: Path) -> Expected:
    table = (
        "idx,method,uttr,snr,noise,quality_score,intelligibility_score,file_name\n"
        "1,FCN,u1,-2,babble,3,4,FCN_babble_-2_u1\n"
        "2,FCN,u1,-2,babble,4,4,FCN_babble_-2_u1\n"
        "3,FCN,u1,-2,babble,,4,FCN_babble_-2_u1\n"  # answered only one question
        "4,DDAE,u2,1,street,2,,DDAE_street_1_u2\n"
        "5,KLT,u3,1,white,5,5,KLT_white_1_語音\n"
    )
    files = {
        "TMHINTQI/raw_data.csv": table.encode(),
        "__MACOSX/TMHINTQI/._raw_data.csv": b"\0\5\x16\7",
        "TMHINTQI/.DS_Store": b"\0",
        "TMHINTQI/train/FCN_babble_-2_u1.wav": tone("h1", 16000),
        "__MACOSX/TMHINTQI/train/._FCN_babble_-2_u1.wav": b"\0\5\x16\7",
        "TMHINTQI/train/DDAE_street_1_u2.wav": tone("h2", 16000),
        "TMHINTQI/test/KLT_white_1_語音.wav": tone("h3", 16000),
    }
    zipped(folder / "TMHINTQI.zip", files)
    return {
        "train": {
            "FCN_babble_-2_u1": Clip("FCN-SNR-2-babble", 3.5, 2),
            "DDAE_street_1_u2": Clip("DDAE-SNR1-street", 2.0, 1),
        },
        "test": {"KLT_white_1_語音": Clip("KLT-SNR1-white", 5.0, 1)},
    }


def ttsds2(folder: Path) -> Expected:
    table = (
        "audio,dataset,system,rating_type,value,annotator,survey_part,page,id\n"
        "wavs/noisy/xtts/0001.wav,noisy,xtts,mos,4,A1,1,1,1\n"
        "wavs/noisy/xtts/0001.wav,noisy,xtts,mos,3,A2,1,1,2\n"
        "wavs/noisy/xtts/0001.wav,noisy,xtts,cmos,-1,A2,1,1,3\n"
        "wavs/kids/f5/0001.wav,kids,f5,mos,5,A1,1,1,4\n"
    )
    files = {
        "subjective_results.csv": table.encode(),
        "wavs/noisy/xtts/0001.wav": tone("x1", 22050),
        "wavs/kids/f5/0001.wav": tone("x2", 22050),
    }
    zipped(folder / "ttsds2.zip", files)
    return {
        "train": {
            "noisy-xtts-0001": Clip("noisy-xtts", 3.5, 2),
            "kids-f5-0001": Clip("kids-f5", 5.0, 1),
        }
    }


def chime(folder: Path) -> Expected:
    table = (
        "condition,sample,scale,MOS,rating_list\n"
        'C1,S01_a.wav,OVRL,3.5,"[4, 3]"\nC1,S01_a.wav,SIG,4.5,"[5, 4]"\nC1,S01_a.wav,BAK,2.5,"[2, 3]"\n'
        'C2,S01_a.wav,SIG,3.0,"[3]"\nC2,S01_a.wav,BAK,1.0,"[1]"\nC2,S01_a.wav,OVRL,2.0,"[2]"\n'
        'Ref,S01_a.wav,OVRL,5.0,"[5, 5]"\n'
    )
    files = {
        "listening_test/MOS_results_listening_test.csv": table.encode(),
        "listening_test/data/C1/S01_a.wav": tone("c1", 16000),
        "listening_test/data/C2/S01_a.wav": tone("c2", 16000),
        "listening_test/data/ref/S01_a.wav": tone("c3", 16000),
    }
    zipped(folder / "CHiME-7-UDASE-evaluation-data.zip", files)
    return {
        "test": {
            "C1_S01_a": Clip("C1", 3.5, 2, others=(("mos_sig", 4.5), ("mos_bak", 2.5))),
            "C2_S01_a": Clip("C2", 2.0, 1, others=(("mos_sig", 3.0), ("mos_bak", 1.0))),
        }
    }


def _urgent(folder: Path, year: int) -> Expected:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def shard(name: str, rows: list[dict[str, object]]) -> None:
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / "data" / name)

    schema = pa.schema(
        {
            "sample_id": pa.string(),
            "system_id": pa.string(),
            "audio": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            "mos": pa.float64(),
            "dnsmos_ovrl": pa.float64(),
            "utmos": pa.float64(),
            "raw_ratings": pa.list_(pa.float64()),
        }
    )

    def row(
        part: str, system: str, n: int, mos: float | None, ratings: list[float] | None
    ) -> dict[str, object]:
        sample_id = f"{part}_{year}_{system}_x_fileid_{n}"
        audio = {
            "bytes": tone(sample_id, (8000, 16000, 48000)[n % 3], kind="FLAC"),
            "path": f"fileid_{n}.flac",
        }
        labels = {"mos": mos, "dnsmos_ovrl": 3.0 + n / 10, "utmos": float("nan"), "raw_ratings": ratings}
        return {"sample_id": sample_id, "system_id": system, "audio": audio} | labels

    shard("validation-00000-of-00002.parquet", [row("validation", "s1", n, None, None) for n in (1, 2)])
    shard("validation-00001-of-00002.parquet", [row("validation", "s2", 3, 2.5, None)])
    shard("nonblind_test-00000-of-00001.parquet", [row("nonblind_test", "s3", 4, None, None)])
    shard("blind_test_mos-00000-of-00001.parquet", [row("blind_test_mos", "s1", 5, None, [3.0, 4.0])])
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-sa-4.0\n---\n")

    def clip(system: str, n: int, mos: float | None, votes: int | None = None) -> Clip:
        return Clip(system, mos, votes, others=(("dnsmos_ovrl", 3.0 + n / 10),))

    train = {
        f"validation_{year}_s1_x_fileid_1": clip("s1", 1, None),
        f"validation_{year}_s1_x_fileid_2": clip("s1", 2, None),
        f"validation_{year}_s2_x_fileid_3": clip("s2", 3, 2.5),
        f"nonblind_test_{year}_s3_x_fileid_4": clip("s3", 4, None),
    }
    test = {f"blind_test_mos_{year}_s1_x_fileid_5": clip("s1", 5, 3.5, 2)}
    return {"train": train, ("test" if year == 2024 else "blind_test_mos"): test}


def urgent2024(folder: Path) -> Expected:
    return _urgent(folder, 2024)


def urgent2025(folder: Path) -> Expected:
    return _urgent(folder, 2025)


def workbook(sheets: dict[str, list[list[object]]]) -> bytes:
    """A minimal .xlsx with these sheets and their rows (ECMA-376, inline strings)."""

    def cell(value: object) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    def xml(body: str) -> bytes:
        return ('<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + body).encode()

    def worksheet(content: list[list[object]]) -> bytes:
        lines = (f'<row r="{i}">{"".join(map(cell, row))}</row>' for i, row in enumerate(content, start=1))
        return xml(f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData></worksheet>')

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    relation = '<Relationship Id="{}" Type="' + office + '/{}" Target="{}"/>'
    numbers = range(1, len(sheets) + 1)

    def relations(*found: str) -> bytes:
        return xml(f'<Relationships xmlns="{package}/relationships">{"".join(found)}</Relationships>')

    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{kind}.worksheet+xml"/>'
        for n in numbers
    )
    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    files = {
        "[Content_Types].xml": xml(
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{types}</Types>'
        ),
        "_rels/.rels": relations(relation.format("r1", "officeDocument", "xl/workbook.xml")),
        "xl/_rels/workbook.xml.rels": relations(
            *(relation.format(f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers)
        ),
        "xl/workbook.xml": xml(
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        ),
    }
    files |= {f"xl/worksheets/sheet{n}.xml": worksheet(rows) for n, rows in enumerate(sheets.values(), 1)}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as book:
        for name, content in files.items():
            book.writestr(name, content)
    return file.getvalue()


BUILDERS = {
    "bc19": bc19,
    "bvcc": bvcc,
    "chime-7-udase-eval": chime,
    "nisqa": nisqa,
    "pstn": pstn,
    "somos": somos,
    "tcd-voip": tcd_voip,
    "tencent": tencent,
    "tmhint-qi": tmhint_qi,
    "ttsds2": ttsds2,
    "urgent2024-sqa": urgent2024,
    "urgent2025-sqa": urgent2025,
}
# they take their tools from here
for module in ("tiny_listening_tests", "tiny_published_tests", "tiny_challenges", "tiny_guesses"):
    BUILDERS |= importlib.import_module(module).BUILDERS
