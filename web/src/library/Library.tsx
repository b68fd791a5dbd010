// The list of videos, as it is on the server.
import { useLibrary } from "../api/library";
import type { Progress, Video } from "../gen/vidstream/v1/video_pb";
import { PartState, Stage, VideoState } from "../gen/vidstream/v1/video_pb";
import { Upload } from "../upload/Upload";
import { Link } from "../ui/route";
import { length, views } from "../ui/text";

const STAGES: Partial<Record<Stage, string>> = {
  [Stage.UPLOAD]: "Uploading",
  [Stage.INDEX]: "Reading the index",
  [Stage.STORYBOARD]: "Making previews",
  [Stage.POSTER]: "Making the poster",
};

function status(video: Video, progress?: Progress): string {
  if (video.state === VideoState.FAILED) return video.failure;
  if (video.state === VideoState.UPLOADING) {
    const { received = 0n, size = 0n } = video.upload ?? {};
    return size ? `Uploading, ${Math.floor(Number((received * 100n) / size))} %` : "Uploading";
  }
  if (progress && progress.state === PartState.RUNNING && pending(video)) {
    return `${STAGES[progress.stage] ?? "Working"}, ${Math.floor(progress.percent)} %`;
  }
  if (video.state === VideoState.PROCESSING) return "Processing";
  return video.views > 0n ? views(video.views) : "";
}

const pending = (video: Video) =>
  [video.storyboard, video.poster].some((part) => part?.state === PartState.WAITING || part?.state === PartState.RUNNING);

function Card({ video, progress }: { video: Video; progress?: Progress }) {
  const poster = video.poster?.state === PartState.READY && `/videos/${video.id}/poster.jpg?${video.poster.generation}`;
  const note = status(video, progress);
  return (
    <li data-video={video.id} data-state={VideoState[video.state]}>
      <Link to={`/watch/${video.id}`} className="card">
        <span className="poster">
          {poster && <img src={poster} alt="" loading="lazy" />}
          {video.media?.duration && <time>{length(video.media.duration)}</time>}
        </span>
        <span className="title">{video.title}</span>
        {note && <span className={video.state === VideoState.FAILED ? "note failed" : "note"}>{note}</span>}
      </Link>
    </li>
  );
}

export function Library() {
  const { videos, progress, connection } = useLibrary();
  return (
    <main>
      <header>
        <h1>VidStream</h1>
        {connection === "offline" && <p role="status" className="offline">No connection to the server; trying again.</p>}
        <Upload />
      </header>
      {connection === "loading" ? (
        <p role="status">Loading …</p>
      ) : videos.length === 0 ? (
        <p role="status">Nothing here yet. Upload a video, and it plays the moment its last byte has arrived.</p>
      ) : (
        <ul className="grid">
          {videos.map((video) => (
            <Card key={video.id} video={video} progress={progress.get(video.id)} />
          ))}
        </ul>
      )}
    </main>
  );
}
