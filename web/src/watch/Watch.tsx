// One video: play it, see where it plays, delete it.
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useCallback, useEffect, useState } from "react";
import { gateway, requestId, sentence } from "../api/client";
import { learn, useLibrary } from "../api/library";
import type { Video } from "../gen/vidstream/v1/video_pb";
import { PartState, VideoState } from "../gen/vidstream/v1/video_pb";
import { go, Link } from "../ui/route";
import { length, views } from "../ui/text";
import { Player } from "./Player";

const ready = (part?: { state: PartState }) => part?.state === PartState.READY;

const fetchable = ({ state }: Video) => state !== VideoState.UPLOADING && state !== VideoState.REMOVED;

/** When a removed video is gone for good, as the end of a sentence. */
const until = ({ purgeTime }: Video) =>
  purgeTime ? `; it can be restored until ${timestampDate(purgeTime).toLocaleString()}` : "";

/** What the file is, in a line. */
function facts(video: Video): string[] {
  const tracks = video.media?.tracks ?? [];
  return [
    ...(video.media?.duration ? [length(video.media.duration)] : []),
    ...(video.state === VideoState.READY ? [views(video.views)] : []),
    ...tracks.map((track) => (track.width ? `${track.width} × ${track.height} ${track.codec}` : `${track.codec} ${track.language}`.trim())),
  ];
}

export function Watch({ id }: { id: string }) {
  const { videos } = useLibrary();
  const [fetched, setFetched] = useState<Video>();
  const [error, setError] = useState("");
  const onError = useCallback((text: string) => setError(text), []);
  const video = videos.find((one) => one.id === id) ?? fetched;

  useEffect(() => {
    setError("");
    gateway.getVideo({ videoId: id }).then(
      (answer) => setFetched(answer.video),
      (reason) => setError(sentence(reason)),
    );
  }, [id]);

  async function remove() {
    try {
      const answer = await gateway.removeVideo({ requestId: requestId(), videoId: id });
      if (answer.video) learn(answer.video);
      go("/");
    } catch (reason) {
      setError(sentence(reason));
    }
  }

  return (
    <main className="watch">
      <header>
        <h1><Link to="/">VidStream</Link></h1>
      </header>
      {video?.state === VideoState.READY && (
        // A new key per set of parts: the storyboard's track is read once, when the player is made.
        <Player key={`${id} ${ready(video.storyboard)}`} onError={onError}
          video={{ id, hls: ready(video.sourceRendition), storyboard: ready(video.storyboard), poster: ready(video.poster) }} />
      )}
      {error && <p role="alert">{error}</p>}
      {video && (
        <>
          <h2>{video.title}</h2>
          {video.state === VideoState.FAILED && <p role="alert">{video.failure}</p>}
          {video.state === VideoState.PROCESSING && <p role="status">Processing …</p>}
          {video.state === VideoState.UPLOADING && <p role="status">Uploading …</p>}
          {video.state === VideoState.REMOVED && <p role="status">This video was removed{until(video)}.</p>}
          {video.warnings.map((warning) => <p key={warning.code} className="warning">{warning.message}</p>)}
          <ul className="facts">{facts(video).map((fact) => <li key={fact}>{fact}</li>)}</ul>
          {video.description && <p>{video.description}</p>}
          <div className="actions">
            {fetchable(video) && <a href={`/videos/${id}/source?download`}>Download the original</a>}
            {video.state !== VideoState.REMOVED && <button className="danger" onClick={() => void remove()}>Delete</button>}
          </div>
        </>
      )}
    </main>
  );
}
